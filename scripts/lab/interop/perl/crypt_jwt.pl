# Crypt::JWT: apt install libcrypt-jwt-perl libio-socket-ssl-perl, or cpan Crypt::JWT IO::Socket::SSL
use strict; use warnings;
use Crypt::JWT qw(decode_jwt);
use HTTP::Tiny; use JSON::PP;

my ($issuer, $audience) = @ENV{qw(ISSUER AUDIENCE)};
die "set ISSUER and AUDIENCE\n" unless $issuer && $audience;    # an undefined one means: do not check
my $http = HTTP::Tiny->new(verify_SSL => 1, timeout => 5, max_redirect => 0);
my ($keys, $fetched);

sub fetch_keys {
    my $reply = $http->get("$issuer/.well-known/jwks.json");
    die "no keys: $reply->{status}\n" unless $reply->{success};
    ($keys, $fetched) = (decode_json($reply->{content}), time);
}

sub decode {
    return decode_jwt(token => shift, kid_keys => $keys, accepted_alg => 'RS256', decode_header => 1, leeway => 5,
        verify_exp => 1, verify_iat => 1, verify_iss => $issuer, verify_sub => qr/./, verify_jti => qr/./,
        verify_aud => sub { my $aud = shift; grep { $_ eq $audience } ref $aud ? @$aud : $aud });
}

sub verify {
    my $token = shift;
    fetch_keys() if !$keys || time - $fetched > 300;
    my ($header, $claims) = eval { decode($token) };
    if ($@ =~ /kid_keys lookup failed/ && time - $fetched > 10) { fetch_keys(); ($header, $claims) = decode($token) }
    elsif ($@) { die $@ }
    die "not an access token\n"
        unless lc($header->{typ} // '') eq 'at+jwt' && $claims->{client_id} && $claims->{exp} - $claims->{iat} <= 900;
    return $claims;
}

$| = 1;
while (my $token = <STDIN>) {    # a token a line
    chomp $token;
    print eval { 'accepted ' . verify($token)->{sub} } // 'refused ' . $@ =~ s/\n.*//sr, "\n";
}
