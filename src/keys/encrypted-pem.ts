import { createCipheriv, createDecipheriv, createPrivateKey, type KeyObject, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

// Encrypted PKCS#8 (RFC 5958 section 3) with PBES2 (RFC 8018 section 6.2), as every tool reads it. Node and the OpenSSL
// command derive the key with 2,048 rounds, which a graphics card tries by the million per second, and Node takes no
// other number. So these few lines of DER are written here. There is no parser: a file is ours when writing it again
// gives the same bytes.

/** Rounds of PBKDF2 with HMAC-SHA-256: as many as for refresh keys (OWASP's figure of 2023). */
export const PBKDF2_ROUNDS = 600_000

const SALT_BYTES = 16
const IV_BYTES = 16

/**
 * Encrypts a private key, with a slow derivation that runs on the thread pool.
 *
 * @returns PEM text
 */
export async function encryptedPem(key: KeyObject, passphrase: string): Promise<string> {
  const [salt, iv] = [randomBytes(SALT_BYTES), randomBytes(IV_BYTES)]
  const cipher = createCipheriv('aes-256-cbc', await derive(passphrase, salt), iv)
  const ciphertext = Buffer.concat([cipher.update(key.export({ type: 'pkcs8', format: 'der' })), cipher.final()])
  const lines =
    encode(salt, iv, ciphertext)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return ['-----BEGIN ENCRYPTED PRIVATE KEY-----', ...lines, '-----END ENCRYPTED PRIVATE KEY-----', ''].join('\n')
}

/**
 * Opens what `encryptedPem` made, on the thread pool: at a rotation a running server must not stand still for it.
 *
 * @returns undefined for any other text
 * @throws Error when the passphrase is another one, or the text was changed
 */
export async function openEncryptedPem(pem: string, passphrase: string | Buffer): Promise<KeyObject | undefined> {
  const parts = decode(pem)
  if (parts === undefined) return undefined
  const decipher = createDecipheriv('aes-256-cbc', await derive(passphrase, parts.salt), parts.iv)
  const key = Buffer.concat([decipher.update(parts.ciphertext), decipher.final()])
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
}

function derive(passphrase: string | Buffer, salt: Buffer): Promise<Buffer> {
  return promisify(pbkdf2)(passphrase, salt, PBKDF2_ROUNDS, 32, 'sha256')
}

const SEQUENCE = 0x30
const OCTETS = 0x04
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const PBES2 = oid('2a864886f70d01050d')
const PBKDF2 = oid('2a864886f70d01050c')
const HMAC_SHA256 = der(SEQUENCE, oid('2a864886f70d0209'), Buffer.from([0x05, 0x00]))
const AES_256_CBC = oid('60864801650304012a')
const ROUNDS = der(0x02, Buffer.from(PBKDF2_ROUNDS.toString(16).padStart(6, '0'), 'hex'))

function encode(salt: Buffer, iv: Buffer, ciphertext: Buffer): Buffer {
  return der(SEQUENCE, algorithm(salt, iv), der(OCTETS, ciphertext))
}

function algorithm(salt: Buffer, iv: Buffer): Buffer {
  const derivation = der(SEQUENCE, PBKDF2, der(SEQUENCE, der(OCTETS, salt), ROUNDS, HMAC_SHA256))
  const encryption = der(SEQUENCE, AES_256_CBC, der(OCTETS, iv))
  return der(SEQUENCE, PBES2, der(SEQUENCE, derivation, encryption))
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

// Salt, initialisation vector and ciphertext of an RSA key stand at the same places in every file.
const MARK = Buffer.alloc(SALT_BYTES, 0xaa)
const SHAPE = algorithm(MARK, Buffer.alloc(IV_BYTES))
const HEADER_BYTES = 4 // of a sequence or octets of 256 bytes or more
const SALT_AT = HEADER_BYTES + SHAPE.indexOf(MARK)
const IV_AT = HEADER_BYTES + SHAPE.length - IV_BYTES
const CIPHERTEXT_AT = HEADER_BYTES + SHAPE.length + HEADER_BYTES

/** @returns undefined for a text that `encode` did not make */
function decode(pem: string): { salt: Buffer; iv: Buffer; ciphertext: Buffer } | undefined {
  const [, base64 = ''] = /^-----BEGIN ENCRYPTED PRIVATE KEY-----([^-]*)-----END/.exec(pem) ?? []
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length < CIPHERTEXT_AT) return undefined
  const parts = {
    salt: bytes.subarray(SALT_AT, SALT_AT + SALT_BYTES),
    iv: bytes.subarray(IV_AT, IV_AT + IV_BYTES),
    ciphertext: bytes.subarray(CIPHERTEXT_AT),
  }
  return encode(parts.salt, parts.iv, parts.ciphertext).equals(bytes) ? parts : undefined
}
