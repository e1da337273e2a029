import fc from 'fast-check'
import { Address6 } from 'ip-address'
import t from 'tap'
import { networkOf } from '../../src/limits/network.ts'
import { networkOfAddress } from '../../src/verifier/gate/network-of-address.ts'

t.test('places are shared by IPv4 address and by /64', async (t) => {
  const rows: [address: string | undefined, network: string][] = [
    [undefined, ''],
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::1', '0:0:0:0'],
    ['::', '0:0:0:0'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::', '2001:db8:1:2'],
    ['2001:db8:1::5:0:0:6', '2001:db8:1:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
  ]
  for (const [address, network] of rows) t.equal(networkOfAddress(address), network, String(address))
})

t.test('as the token server shares', async (t) => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 0xffff }))
  const address = fc
    .array(group, { minLength: 8, maxLength: 8 })
    .map((groups) => new Address6(groups.map((one) => one.toString(16)).join(':')))
    .filter((one) => !one.isMapped4())
  fc.assert(
    fc.property(address, (one) => {
      const spelt = one.correctForm().toLowerCase()
      t.equal(new Address6(`${networkOfAddress(spelt)}::`).correctForm(), networkOf(spelt), spelt)
    }),
  )
})
