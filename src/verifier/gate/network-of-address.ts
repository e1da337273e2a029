/**
 * The network of a connection, by which places are shared: an IPv4 address, or the /64 of an IPv6 address, because
 * whoever has one IPv6 address has the 2^64 of its /64. The package has no library for addresses; those of sockets are
 * all in the one spelling of RFC 5952.
 *
 * @param address `remoteAddress` of a socket; undefined when it is closed
 */
export function networkOfAddress(address: string | undefined): string {
  if (address === undefined) return ''
  if (!address.includes(':') || address.includes('.')) return address // IPv4, also as `::ffff:192.0.2.1`
  const [left = [], right = []] = address.split('::').map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  return [...left, ...zeros, ...right].slice(0, 4).join(':')
}
