/**
 * True for the host of a URL that never leaves this machine: localhost, 127.0.0.0/8 (RFC 1122 section 3.2.1.3) and ::1.
 */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname)
}
