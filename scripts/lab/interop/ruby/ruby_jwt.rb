# ruby-jwt: apt install ruby-jwt, or gem install jwt
require 'json'
require 'jwt'
require 'net/http'

ISSUER, AUDIENCE = ENV.fetch('ISSUER'), ENV.fetch('AUDIENCE')
REQUIRED = %w[iss aud sub client_id iat exp jti]

KEYS = lambda do |options|
  age = @jwks ? Process.clock_gettime(Process::CLOCK_MONOTONIC) - @fetched : Float::INFINITY
  if age > 300 || (age > 10 && options[:kid_not_found])
    reply = Net::HTTP.get_response(URI("#{ISSUER}/.well-known/jwks.json")).tap(&:value)
    @jwks, @fetched = JSON.parse(reply.body), Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
  @jwks
end

def verify(token)
  claims, header = JWT.decode(token, nil, true, algorithms: ['RS256'], jwks: KEYS, iss: ISSUER, verify_iss: true,
                              aud: AUDIENCE, verify_aud: true, verify_iat: true, leeway: 5, required_claims: REQUIRED)
  good = header['typ'].to_s.casecmp?('at+jwt') && claims['exp'] - claims['iat'] <= 900
  good ? claims : raise(JWT::DecodeError, 'not an access token')
end

$stdout.sync = true
$stdin.each_line do |line| # a token a line
  puts "accepted #{verify(line.strip)['sub']}"
rescue StandardError => e
  puts "refused #{e.class}: #{e.message.lines.first}"
end
