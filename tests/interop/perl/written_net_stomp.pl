# Net::Stomp, as its users call it, carries out a job of ../record.py.

use strict;
use warnings;

use Encode qw(encode);
use JSON::PP;
use Net::Stomp;

my $job   = JSON::PP->new->decode( $ENV{INTEROP_JOB} );
my $stomp = Net::Stomp->new( { hostname => $ARGV[0], port => $ARGV[1], reconnect_attempts => 1 } );
$stomp->connect( { login => 'guest', passcode => 'guest' } );
for my $each ( @{ $job->{sends} // [] } ) {
    my %headers = map { $_ => encode( 'UTF-8', $each->{headers}{$_} ) } keys %{ $each->{headers} };
    $stomp->send( { destination => $job->{queue}, body => $each->{body}, %headers } );
}
if ( $job->{ack} ) {
    $stomp->subscribe( { destination => $job->{queue}, ack => $job->{ack} } );
    my @messages = map { $stomp->receive_frame( { timeout => 10 } ) // die 'no frame' } 1 .. $job->{take};
    $stomp->ack( { frame => $messages[$_] } ) for @{ $job->{settle} };
}
$stomp->disconnect;
print JSON::PP->new->allow_nonref->encode("$Net::Stomp::VERSION"), "\n";
