import { glob, readFile, stat } from 'node:fs/promises'
import t from 'tap'

// People copy the page of the demo, so it stays short; and its picture is the first thing that a README loads.

const demo = new URL('../../scripts/demo/', import.meta.url)

t.test('the page of the demo is short enough to be read, and its picture small', async (t) => {
  let lines = 0
  for await (const file of glob('*.ts', { cwd: new URL('page/', demo) }))
    lines += (await readFile(new URL(`page/${file}`, demo), 'utf8')).split('\n').length
  t.ok(lines > 100 && lines <= 200, `${lines} lines`)
  const { size } = await stat(new URL('demo.png', demo))
  t.ok(size <= 150 * 1024, `${size} bytes`)
})

t.test('the page holds no inline script or style, which its policy would refuse', async (t) => {
  const html = await readFile(new URL('page/index.html', demo), 'utf8')
  t.notMatch(html, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:/i)
})
