-- Asks signet-gate about a request. HAProxy 2.6 or newer: it brings the HTTP client, nothing else is to be installed.
local GATE = 'http://127.0.0.1:4180/?'
local TIMEOUT_MS = 500 -- HAProxy asks four times before it gives up
local IDENTITY = {
  'x-signet-subject', 'x-signet-client', 'x-signet-scope', 'x-signet-roles', 'x-signet-session', 'x-signet-auth-time',
}

-- What the client gets of a refusal. Names are in lower case.
local PASSED_ON = { 'www-authenticate', 'retry-after', 'content-type', 'cache-control' }

local function refuse(txn, status, answer)
  local reply = txn:reply({ status = status })
  for _, name in ipairs(PASSED_ON) do
    for _, value in pairs(answer.headers and answer.headers[name] or {}) do reply:add_header(name, value) end
  end
  reply:set_body(answer.body or '')
  txn:done(reply)
end

-- http-request lua.signet_gate <demand>
core.register_action('signet_gate', { 'http-req' }, function(txn, demand)
  -- All Authorization lines go into the question, and nothing else of the client's: the gate refuses two of them.
  local authorization = txn.http:req_get_headers()['authorization']
  local lines = {}
  for _, value in pairs(authorization or {}) do lines[#lines + 1] = value end
  local answer = core.httpclient():get({
    url = GATE .. (demand == 'token' and '' or demand),
    headers = { host = { 'gate' }, authorization = #lines > 0 and lines or nil },
    timeout = TIMEOUT_MS,
  })
  if answer.status == 200 then
    for _, name in ipairs(IDENTITY) do
      local values = answer.headers[name]
      if values == nil then return refuse(txn, 503, { headers = { ['retry-after'] = { '5' } } }) end -- not the gate
      txn.http:req_set_header(name, values[0])
    end
    txn:set_var('txn.signet_named', true)
  elseif answer.status >= 400 and answer.headers['www-authenticate'] then refuse(txn, answer.status, answer)
  else refuse(txn, 503, { headers = { ['retry-after'] = answer.headers['retry-after'] or { '5' } } }) end
end, 1)
