import { generateKeyPairSync, sign } from 'node:crypto'

/**
 * Makes an X.509 certificate that signs itself (RFC 5280, in DER by hand: Node can read certificates but not write
 * them).
 *
 * @param name the DNS name it is for
 * @returns the certificate, which is its own authority, and its private key, both PEM
 */
export function makeCertificate(name: string): { certificate: string; privateKey: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ecdsaWithSha256 = sequence(tlv(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
  const distinguished = sequence(tlv(0x31, sequence(tlv(0x06, Buffer.from('550403', 'hex')), tlv(0x0c, name))))
  const toBeSigned = sequence(
    tlv(0xa0, integer(2)), // version 3
    integer(1),
    ecdsaWithSha256,
    distinguished,
    sequence(tlv(0x17, '200101000000Z'), tlv(0x17, '491231235959Z')),
    distinguished,
    publicKey.export({ format: 'der', type: 'spki' }),
    tlv(0xa3, sequence(extension('551d11', tlv(0x82, name)), extension('551d13', tlv(0x01, Buffer.from([0xff]))))),
  )
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', toBeSigned, privateKey)])
  const base64 = sequence(toBeSigned, ecdsaWithSha256, tlv(0x03, signature)).toString('base64')
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`,
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  }
}

/** subjectAltName (2.5.29.17) and basicConstraints (2.5.29.19): both hold one sequence. */
function extension(oid: string, content: Buffer): Buffer {
  return sequence(tlv(0x06, Buffer.from(oid, 'hex')), tlv(0x04, sequence(content)))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts))
}

function integer(value: number): Buffer {
  return tlv(0x02, Buffer.from([value]))
}

function tlv(tag: number, content: Buffer | string): Buffer {
  const body = Buffer.from(content as Buffer)
  const size = body.length
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
