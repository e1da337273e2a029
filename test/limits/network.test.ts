import t from 'tap'
import { networkOf } from '../../src/limits/network.ts'

const SAME: [name: string, network: string, ...addresses: (string | null | undefined)[]][] = [
  [
    'an IPv4 address is a network of its own',
    '192.0.2.1',
    '192.0.2.1',
    '::ffff:192.0.2.1',
    '::ffff:c000:0201',
    '::FFFF:C000:201',
  ],
  ['its neighbour is another', '192.0.2.2', '192.0.2.2'],
  [
    'a /64 is one network, in any spelling',
    '2001:db8:1:2::',
    '2001:db8:1:2::',
    '2001:db8:1:2::1',
    '2001:0DB8:0001:0002:ffff:ffff:ffff:ffff',
    '2001:db8:1:2:0:0:192.0.2.1',
  ],
  ['the next /64 is another', '2001:db8:1:3::', '2001:db8:1:3::1'],
  ['a zone is no part of an address', 'fe80::', 'fe80::1%eth0', 'fe80::2%1'],
  ['the loopback of IPv6', '::', '::1'],
  [
    'what is no address',
    'unknown',
    'proxy',
    '',
    '999.0.0.1',
    `2001:db8::${'1'.repeat(5000)}`,
    '192.0.2.1:80',
    null,
    undefined,
  ],
]

for (const [name, network, ...addresses] of SAME) {
  t.test(name, async (t) => {
    for (const address of addresses) t.equal(networkOf(address), network, String(address).slice(0, 60))
  })
}
