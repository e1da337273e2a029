-- Asks signet-gate about a request. Apache: apt install apache2 lua-socket; a2enmod lua
local socket = require 'socket'
local HOST, PORT, TIMEOUT_SECONDS = '127.0.0.1', 4180, 2
local IDENTITY = {
  'X-Signet-Subject', 'X-Signet-Client', 'X-Signet-Scope', 'X-Signet-Roles', 'X-Signet-Session', 'X-Signet-Auth-Time',
}
-- A service might read these otherwise than Apache does: nobody could say what was demanded for such a path.
local UNCLEAR = { '//', '/%.%.?/', '/%.%.?$', '[;\\]', '%%00', '%%25', '%%2e', '%%2f', '%%3b', '%%5c' }
local kept -- a connection to the gate; by LuaScope each thread has its own

-- The status and the headers by name in lower case; nil when there is no whole answer.
local function answer_on(connection, question)
  if not connection:send(question) then return nil end
  local status = tonumber((connection:receive('*l') or ''):match('^HTTP/1%.1 (%d%d%d) '))
  local headers = {}
  for line in function() return connection:receive('*l') end do
    if line == '' then
      local length = tonumber(headers['content-length'])
      if not length or (length > 0 and not connection:receive(length)) then return nil end
      return status, headers
    end
    local name, value = line:match('^([%w-]+): *(.*)$')
    if name then headers[name:lower()] = value end
  end
end

local function ask(question)
  local is_old, connection = kept ~= nil, kept or socket.connect(HOST, PORT)
  kept = nil -- until the answer is whole: its rest would be read as the answer to the next question
  if not connection then return nil end
  connection:settimeout(TIMEOUT_SECONDS)
  local status, headers = answer_on(connection, question)
  if status then
    kept = connection
    return status, headers
  end
  connection:close()
  if is_old then return ask(question) end -- the gate ends connections that were idle
end

function signet_gate(r)
  -- Every spelling that a client may send is gone, on public routes too.
  for name in pairs(r:headers_in_table()) do
    if name:lower():find('signet', 1, true) then r.headers_in[name] = nil end
  end
  local path = r.unparsed_uri:gsub('^%a+://[^/?]*', ''):match('^[^?]*'):lower()
  for _, sign in ipairs(UNCLEAR) do
    if path:find(sign) then return 400 end
  end
  -- mod_proxy removes what Connection names: it could be what the gate says.
  if (r.headers_in['Connection'] or ''):lower():find('signet', 1, true) then return 400 end

  local demand = r.subprocess_env['SIGNET_DEMAND']
  if demand == 'none' then return apache2.OK end
  -- Of the client's there is Authorization only. Apache has made one line of two, which the gate refuses.
  local authorization = r.headers_in['Authorization']
  local line = authorization and 'Authorization: ' .. authorization .. '\r\n' or ''
  local query = demand == 'token' and '' or demand
  local status, headers = ask('GET /?' .. query .. ' HTTP/1.1\r\nHost: gate\r\n' .. line .. '\r\n')
  if status == 200 and headers['x-signet-subject'] then
    for _, name in ipairs(IDENTITY) do r.headers_in[name] = headers[name:lower()] end
    return apache2.OK
  end
  local challenge = headers and headers['www-authenticate']
  if challenge then
    r.err_headers_out['WWW-Authenticate'] = challenge
    return status
  end
  r.err_headers_out['Retry-After'] = headers and headers['retry-after'] or '5'
  return 503
end
