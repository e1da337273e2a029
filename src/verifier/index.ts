export { createVerifier } from './create-verifier.ts'
export * from './exports.ts'
