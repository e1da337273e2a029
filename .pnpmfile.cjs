// pnpm 11 and newer take settings from a file that would stand beside package.json. Here they take ours: the packages
// whose install scripts were judged, without which its install fails, and the versions that are held.
const { allowScripts, overrides } = require('./package.json')

module.exports = {
  hooks: { updateConfig: (config) => ({ ...config, allowBuilds: allowScripts, overrides }) },
}
