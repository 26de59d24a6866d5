# Net::Stomp (Debian: libnet-stomp-perl); ../README.md tells the scenarios, each a sub here.
# Arguments: host, port, version, scenario, key. The result goes to stdout as JSON.
# Net::Stomp knows STOMP 1.0; 1.1 and 1.2 work as far as one gives the headers by hand. It never (un)escapes.

use strict;
use warnings;
use utf8;

use Encode qw(encode decode);
use JSON::PP;
use Net::Stomp;
use Net::Stomp::Frame;

my ( $host, $port, $version, $scenario, $key ) = @ARGV;
my $queue       = "/queue/$key";
my $topic       = "/topic/$key";
my $every_octet = join '', map { chr } 0 .. 255, 0 .. 255;
my %known       = ( utf8 => 'Grüße, 日本, 🐍', colon => 'a:b::c', path => 'c:\\new\\table\\\\', empty => '' );

my @receipts;    # of all connections, in order
my %waiting;     # messages that came while a receipt was awaited, by connection

sub attempt {
    my (%options) = @_;
    my %place = ( hostname => $host, port => $port, timeout => 10, reconnect_attempts => 1, connect_delay => 0 );
    if ( my $ca = $ENV{INTEROP_CA} ) {
        my $own = $ENV{INTEROP_CERT};
        $place{ssl}         = 1;
        $place{ssl_options} = {
            SSL_ca_file   => $ca,
            SSL_cert_file => $own,
            SSL_key_file  => $own,
            # Without this IO::Socket::SSL compares no names: it knows only some protocols, and STOMP is none of them.
            SSL_verifycn_scheme => 'http',
        };
    }
    my $stomp = Net::Stomp->new( \%place );
    my %headers = ( login => $options{login} // '', passcode => $options{passcode} // '' );
    %headers = ( %headers, %{ $options{headers} // {} } );
    @headers{ 'accept-version', 'host' } = ( $version, $host ) if $version ne '1.0';
    return ( $stomp, $stomp->connect( \%headers ) );
}

sub client {
    my ( $stomp, $answer ) = attempt(@_);
    die 'not connected' unless $answer && $answer->command eq 'CONNECTED';
    my $negotiated = $answer->headers->{version} // '1.0';
    die "negotiated $negotiated" if $version ne '1.0' && $negotiated ne $version;
    return $stomp;
}

sub frame {
    my ($stomp) = @_;
    return $stomp->receive_frame( { timeout => 10 } ) // die 'no frame for 10 s';
}

sub wait_for_receipt {
    my ( $stomp, $wanted ) = @_;
    my $frame = frame($stomp);
    while ( $frame->command eq 'MESSAGE' ) {
        push @{ $waiting{$stomp} }, $frame;
        $frame = frame($stomp);
    }
    die $frame->as_string unless $frame->command eq 'RECEIPT' && $frame->headers->{'receipt-id'} eq $wanted;
    push @receipts, $wanted;
}

sub receive {
    my ($stomp) = @_;
    my $frame = shift @{ $waiting{$stomp} // [] } // frame($stomp);
    die $frame->as_string unless $frame->command eq 'MESSAGE';
    return $frame;
}

sub take_in {    # SUBSCRIBE
    my ( $stomp, $destination, $ack, $id, %headers ) = @_;
    my %which = ( destination => $destination, id => $id // 'one', ack => $ack // 'auto' );
    $stomp->subscribe( { %headers, %which, receipt => 'subscribed' } );
    wait_for_receipt( $stomp, 'subscribed' );
}

sub put {
    my ( $stomp, $destination, $body, %headers ) = @_;
    $stomp->send( { destination => $destination, body => $body, bytes_message => 1, %headers } );
    wait_for_receipt( $stomp, $headers{receipt} ) if $headers{receipt};
}

sub settle {
    my ( $stomp, $verb, $message, %headers ) = @_;
    $headers{subscription} = $message->headers->{subscription} if $version eq '1.1';
    $headers{id}           = $message->headers->{ack}          if $version eq '1.2';
    $stomp->$verb( { frame => $message, receipt => 'settled', %headers } );
    wait_for_receipt( $stomp, 'settled' );
}

sub demarcate {
    my ( $stomp, $command, $transaction, $receipt ) = @_;
    my %headers = ( transaction => $transaction, receipt => $receipt );
    $stomp->send_frame( Net::Stomp::Frame->new( { command => $command, headers => \%headers } ) );
    wait_for_receipt( $stomp, $receipt );
}

sub drain {
    my $stomp = client();
    put( $stomp, $queue, 'END' );
    take_in( $stomp, $queue );
    my @bodies;
    do { push @bodies, receive($stomp)->body } until $bodies[-1] eq 'END';
    $stomp->disconnect;
    return \@bodies;
}

sub fill {
    my ($count) = @_;
    my $stomp = client();
    put( $stomp, $queue, "message $_", receipt => "sent $_" ) for 1 .. $count;
    $stomp->disconnect;
}

sub attempt_steps {    # the messages that each connection was given, as body and headers
    my ($steps) = @_;
    my ( %clients, %seen );
    for (@$steps) {
        my ( $verb, $name, @rest ) = @$_;
        if ( $verb eq 'connect' ) {
            $clients{$name} = client( headers => $rest[0] );
            $seen{$name}    = [];
        }
        elsif ( $verb eq 'close' ) {
            ( delete $clients{$name} )->disconnect;
        }
        else {
            step( $clients{$name}, $seen{$name}, $verb, @rest );
        }
    }
    $_->disconnect for values %clients;
    return { map { my $got = $seen{$_}; $_ => [ map { [ $_->body, $_->headers ] } @$got ] } keys %seen };
}

sub step {
    my ( $stomp, $seen, $verb, @rest ) = @_;
    if ( $verb eq 'subscribe' ) {
        my ( $id, $destination, $ack, $headers ) = @rest;
        take_in( $stomp, $destination, $ack, $id, %$headers );
    }
    elsif ( $verb eq 'unsubscribe' ) {
        my ( $id, $headers ) = @rest;
        $stomp->unsubscribe( { %$headers, id => $id, receipt => 'unsubscribed' } );
        wait_for_receipt( $stomp, 'unsubscribed' );
    }
    elsif ( $verb eq 'send' ) {
        my ( $destination, $body, $headers ) = @rest;
        put( $stomp, $destination, $body, %$headers, receipt => 'sent' );
    }
    elsif ( $verb eq 'receive' ) { push @$seen, receive($stomp) for 1 .. $rest[0] }
    elsif ( $verb eq 'reply' ) {
        put( $stomp, $seen->[ $rest[0] ]->headers->{'reply-to'}, $rest[1], receipt => 'sent' );
    }
    else { settle( $stomp, $verb, $seen->[ $rest[0] ], %{ $rest[1] // {} } ) }
}

my %scenarios = (
    delivery => sub {    # programs of steps, each a verb, the connection's name and what the verb needs
        my $programs = decode_json( $ENV{INTEROP_PROGRAMS} );
        return { map { $_ => eval { attempt_steps( $programs->{$_} ) } // { error => "$@" } } keys %$programs };
    },
    order => sub {
        my $stomp = client();
        put( $stomp, $queue, "message $_" ) for 1 .. 10;
        take_in( $stomp, $queue );
        put( $stomp, $queue, "message $_" ) for 11 .. 50;
        my @bodies = map { receive($stomp)->body } 1 .. 50;
        $stomp->disconnect;
        return { version => $version, bodies => \@bodies };
    },
    topic_to_two => sub {
        my ( $first, $second ) = ( client(), client() );
        take_in( $_, $topic ) for $first, $second;
        put( $second, $topic, "message $_" ) for 1 .. 3;
        my %facts = (
            first  => [ map { receive($first)->body } 1 .. 3 ],
            second => [ map { receive($second)->body } 1 .. 3 ],
        );
        $_->disconnect for $first, $second;
        return \%facts;
    },
    ack_client => sub {
        fill(5);
        my $stomp = client();
        take_in( $stomp, $queue, 'client' );
        my @received;
        for my $number ( 1 .. 3 ) {
            my $message = receive($stomp);
            push @received, $message->body;
            settle( $stomp, 'ack', $message ) if $version eq '1.0' || $number == 3;
        }
        $stomp->disconnect;
        return { received => \@received, left => drain() };
    },
    ack_individual => sub {
        fill(4);
        my $stomp = client();
        take_in( $stomp, $queue, 'client-individual' );
        my @messages = map { receive($stomp) } 1 .. 4;
        settle( $stomp, 'ack', $messages[$_] ) for 3, 1;
        $stomp->disconnect;
        return { received => [ map { $_->body } @messages ], left => drain() };
    },
    nack => sub {
        fill(2);
        my $stomp = client();
        take_in( $stomp, $queue, 'client-individual' );
        my @messages = map { receive($stomp) } 1 .. 2;
        settle( $stomp, 'nack', $messages[0] );
        push @messages, receive($stomp);
        settle( $stomp, 'ack', $messages[$_] ) for 2, 1;
        $stomp->disconnect;
        my @deliveries = map { [ $_->body, $_->headers->{redelivered} // 'false' ] } @messages;
        return { deliveries => \@deliveries, left => drain() };
    },
    unsubscribe => sub {
        my $stomp = client();
        take_in( $stomp, $queue );
        my %which = $version eq '1.0' ? ( destination => $queue ) : ();
        $stomp->unsubscribe( { id => 'one', receipt => 'unsubscribed', %which } );
        wait_for_receipt( $stomp, 'unsubscribed' );
        put( $stomp, $queue, 'later', receipt => 'stored' );
        $stomp->disconnect;
        return { left => drain() };
    },
    transaction_commit => sub {
        my ( $reader, $writer ) = ( client(), client() );
        take_in( $reader, $queue );
        demarcate( $writer, 'BEGIN', 't1', 'begun' );
        put( $writer, $queue, 'inside 1', transaction => 't1' );
        put( $writer, $queue, 'inside 2', transaction => 't1' );
        put( $writer, $queue, 'outside' );
        my @bodies = ( receive($reader)->body );
        demarcate( $writer, 'COMMIT', 't1', 'committed' );
        push @bodies, receive($reader)->body for 1 .. 2;
        $_->disconnect for $reader, $writer;
        return { bodies => \@bodies };
    },
    transaction_abort => sub {
        my $stomp = client();
        demarcate( $stomp, 'BEGIN', 't1', 'begun' );
        put( $stomp, $queue, 'inside', transaction => 't1' );
        demarcate( $stomp, 'ABORT', 't1', 'aborted' );
        put( $stomp, $queue, 'after', receipt => 'stored' );
        $stomp->disconnect;
        return { left => drain() };
    },
    transaction_ack => sub {
        my %facts;
        for my $ending (qw(abort commit)) {
            fill(1);
            my $stomp = client();
            take_in( $stomp, $queue, $version eq '1.0' ? 'client' : 'client-individual' );
            my $message = receive($stomp);
            demarcate( $stomp, 'BEGIN', 't1', 'begun' );
            settle( $stomp, 'ack', $message, transaction => 't1' );
            demarcate( $stomp, uc $ending, 't1', 'ended' );
            $stomp->disconnect;
            $facts{"after $ending"} = drain();
        }
        return \%facts;
    },
    transactional => sub {    # the library's own way: BEGIN, SEND with a receipt, COMMIT
        my $stomp = client();
        my $done  = $stomp->send_transactional( { destination => $queue, body => 'all of it' } );
        $stomp->disconnect;
        return { done => $done ? JSON::PP::true : JSON::PP::false, left => drain() };
    },
    binary => sub {
        my $stomp = client();
        take_in( $stomp, $queue );
        put( $stomp, $queue, $_ ) for $every_octet, '', encode( 'UTF-8', "Grüße €\n" );
        my @bodies = map { unpack 'H*', receive($stomp)->body } 1 .. 3;
        $stomp->disconnect;
        return { bodies => \@bodies };
    },
    receipts => sub {
        my $stomp = client();
        take_in( $stomp, $queue );
        put( $stomp, $queue, '', receipt => 'a receipt' );
        demarcate( $stomp, 'BEGIN', 't1', 'begun' );
        demarcate( $stomp, 'COMMIT', 't1', 'committed' );
        $stomp->unsubscribe( { id => 'one', destination => $queue, receipt => 'unsubscribed' } );
        wait_for_receipt( $stomp, 'unsubscribed' );
        $stomp->disconnect;
        return { receipts => \@receipts };
    },
    headers => sub {
        my %sent  = map { $_ => $known{$_} } split /,/, $ENV{INTEROP_HEADERS};
        my $stomp = client();
        take_in( $stomp, $queue );
        put( $stomp, $queue, 'body', map { $_ => encode( 'UTF-8', $sent{$_} ) } keys %sent );
        my $headers = receive($stomp)->headers;
        $stomp->disconnect;
        my %received = map { $_ => decode( 'UTF-8', $headers->{$_} ) } keys %sent;
        return { sent => \%sent, received => \%received };
    },
    error => sub {
        my $stomp = client();
        my %headers = ( transaction => 'no such transaction', receipt => 'the commit' );
        $stomp->send_frame( Net::Stomp::Frame->new( { command => 'COMMIT', headers => \%headers } ) );
        my $frame = frame($stomp);
        die $frame->as_string unless $frame->command eq 'ERROR';
        my %facts = ( body => $frame->body, map { $_ => $frame->headers->{$_} } qw(message receipt-id) );
        my $more = $stomp->_read_data(10);    # 0 at the end of the stream; receive_frame would reconnect
        return { %facts, closed => defined $more && $more == 0 ? JSON::PP::true : JSON::PP::false };
    },
    login => sub {
        my ( $stomp, $answer ) = attempt( login => $ENV{INTEROP_LOGIN}, passcode => $ENV{INTEROP_PASSCODE} );
        die 'no answer' unless $answer;
        my $connected = $answer->command eq 'CONNECTED';
        my $text      = $connected ? '' : join ' ', $answer->headers->{message}, $answer->body;
        return { connected => $connected ? JSON::PP::true : JSON::PP::false, text => $text };
    },
    produce => sub {
        my $stomp = client();
        put( $stomp, $queue, $every_octet, 'x-from' => 'perl', receipt => 'stored' );
        $stomp->disconnect;
        return { headers => { 'x-from' => 'perl' }, body => unpack 'H*', $every_octet };
    },
    consume => sub {
        my $stomp = client();
        take_in( $stomp, $queue, 'client' );
        my $message = receive($stomp);
        settle( $stomp, 'ack', $message );
        $stomp->disconnect;
        my %headers = ( 'x-from' => $message->headers->{'x-from'} );
        return { headers => \%headers, body => unpack 'H*', $message->body };
    },
);

print JSON::PP->new->utf8->encode( $scenarios{$scenario}->() ), "\n";
