export { createVerifier } from './create-web-verifier.ts'
export * from './exports.ts'
