import { isIP } from 'node:net'
import { Address6 } from 'ip-address'

/** The key for a missing or malformed address: all such clients share one allowance. */
const UNKNOWN = 'unknown'

/**
 * The key under which the limits of one client are counted: an IPv4 address, or the /64 of an IPv6 address, because
 * whoever has one IPv6 address has the 2^64 of its /64. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, RFC 4291
 * section 2.5.5.2) counts as the IPv4 address.
 */
export function networkOf(ip: string | null | undefined): string {
  const family = isIP(ip ?? '')
  if (ip == null || family === 0) return UNKNOWN
  if (family === 4) return ip
  const address = new Address6(ip)
  return address.isMapped4()
    ? address.to4().correctForm()
    : new Address6(`${ip}/64`).startAddress().correctForm().toLowerCase()
}
