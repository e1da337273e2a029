import t from 'tap'
import { signetLambda } from '../../src/verifier/adapters/lambda.ts'
import { ARN, EVENTS, recording } from './adapter-drivers.ts'
import { verifying } from './verifying.ts'

// What all adapters promise is in adapters.test.ts; here is what only API Gateway has.

t.test('a policy is for the one resource that was asked for', async (t) => {
  const { policy } = signetLambda(recording())
  for (const event of [EVENTS.token(['Bearer x']), EVENTS.rest(['Bearer x']), EVENTS.http(['Bearer x'])])
    t.same(await policy(event), {
      principalId: 'somebody',
      policyDocument: {
        Version: '2012-10-17',
        Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: ARN }],
      },
      context: { sub: 'somebody' },
    })
  await t.rejects(policy({ type: 'REQUEST', headers: {} }), TypeError, 'an event that names none')
  // In a policy these would name other addresses too, for as long as API Gateway keeps the answer.
  const methodArn = `${ARN}/*/\${aws:userid}/*`
  const { policyDocument } = await policy({ ...EVENTS.rest(['Bearer x']), methodArn })
  t.equal(policyDocument.Statement[0]?.Resource, `${ARN}/?/?{aws:userid}/?`)
})

t.test('two lines in any spelling, and events with half of it', async (t) => {
  const { verifier, mint } = await verifying(t)
  const { simple } = signetLambda(verifier)
  const good = `Bearer ${mint.token()}`
  const event = { type: 'REQUEST', headers: null, multiValueHeaders: null }
  const REFUSED: object[] = [
    { multiValueHeaders: { authorization: [good], Authorization: [good] } },
    { multiValueHeaders: { authorization: [] }, headers: { authorization: good } },
    { headers: { authorization: good, AUTHORIZATION: good } },
    { authorizationToken: good },
    { type: 'TOKEN', headers: { authorization: good } },
    {},
  ]
  for (const change of REFUSED)
    await t.rejects(simple({ ...event, ...change }), { message: 'Unauthorized' }, JSON.stringify(Object.keys(change)))
  t.match(await simple({ ...event, headers: { aUTHORIZATION: good } }), { isAuthorized: true })
})
