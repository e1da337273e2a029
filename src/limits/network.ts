import { isIP } from 'node:net'
import { Address6 } from 'ip-address'

/** What an address is not, and a client without one: all of them share one allowance. */
const UNKNOWN = 'unknown'

/**
 * The network an address belongs to, as far as one client can be told from another: an IPv4 address, or the /64 of an IPv6
 * address, because every holder of one has 2^64 of them. An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) is the IPv4 address.
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
