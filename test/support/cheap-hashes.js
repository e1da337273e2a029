// Loaded into the server processes of tests and into that of their scripts. A password hash takes 24 ms of processor time
// at the lowest cost that the settings allow, and there are some hundred of them; here one takes a fraction of a
// millisecond, as in the apps that tests start in their own process. What a hash costs is tested in
// accounts/passwords.test.ts. JavaScript, because an option of Node names it.

import argon2 from 'argon2'

const CHEAP_KIB = 64
const { hash, needsRehash } = argon2
const cheap = (options) => ({ ...options, memoryCost: CHEAP_KIB })

argon2.hash = (password, options) => hash(password, cheap(options))
argon2.needsRehash = (digest, options) => needsRehash(digest, cheap(options))
