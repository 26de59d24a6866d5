<?php
// PHP's stomp extension (Debian: php-stomp); ../README.md tells the scenarios, each a function here.
// Arguments: host, port, version, scenario, key. The result goes to stdout as JSON.
// The extension writes headers as they are (no escaping) and knows the headers of 1.1 and 1.2 only if given by hand.

declare(strict_types=1);

[, $host, $port, $version, $scenario, $key] = $argv;
define('VERSION', $version);
define('BROKER', "tcp://$host:$port");
define('QUEUE', "/queue/$key");
define('TOPIC', "/topic/$key");
define('EVERY_OCTET', implode('', array_map('chr', [...range(0, 255), ...range(0, 255)])));
const HEADERS = ['utf8' => "Grüße, 日本, \u{1f40d}", 'colon' => 'a:b::c', 'path' => 'c:\\new\\table\\\\', 'empty' => ''];

function client(string $login = '', string $passcode = '', array $headers = []): Stomp
{
    $headers += VERSION === '1.0' ? [] : ['accept-version' => VERSION, 'host' => 'localhost'];
    $stomp = new Stomp(BROKER, $login, $passcode, $headers);
    $stomp->setReadTimeout(10);
    return $stomp;
}

function expect(bool $done, Stomp $stomp): void
{
    if (!$done) {
        throw new Exception('refused: ' . $stomp->error());
    }
}

function subscribe(
    Stomp $stomp, string $destination, string $ack = 'auto', string $id = 'one', array $more = [],
): void {
    // The extension waits for the receipt of what it sends and keeps the messages that come before it.
    $headers = ['id' => $id, 'ack' => $ack, 'receipt' => 'subscribed'] + $more;
    expect($stomp->subscribe($destination, $headers), $stomp);
}

function unsubscribe_one(Stomp $stomp): void
{
    expect($stomp->unsubscribe(QUEUE, ['id' => 'one', 'receipt' => 'unsubscribed']), $stomp);
}

function put(Stomp $stomp, string $destination, string $body, array $headers = []): void
{
    expect($stomp->send($destination, $body, $headers), $stomp);
}

function receive(Stomp $stomp): StompFrame
{
    $frame = $stomp->readFrame();
    if (!$frame || $frame->command !== 'MESSAGE') {
        throw new Exception('no message: ' . ($frame ? $frame->command : $stomp->error()));
    }
    return $frame;
}

function settle(Stomp $stomp, string $verb, StompFrame $message, array $headers = []): void
{
    if (VERSION === '1.1') {
        $headers['subscription'] = $message->headers['subscription'];
    } elseif (VERSION === '1.2') {
        $headers['id'] = $message->headers['ack'];
    }
    expect($stomp->$verb($message->headers['message-id'], $headers + ['receipt' => 'settled']), $stomp);
}

function drain(): array
{
    $stomp = client();
    put($stomp, QUEUE, 'END');
    subscribe($stomp, QUEUE);
    $bodies = [];
    do {
        $bodies[] = $body = receive($stomp)->body;
    } while ($body !== 'END');
    return $bodies;
}

function fill(int $count): void
{
    $stomp = client();
    for ($number = 1; $number <= $count; $number++) {
        put($stomp, QUEUE, "message $number", ['receipt' => "sent $number"]);
    }
}

function bodies(Stomp $stomp, int $count): array
{
    return array_map(fn() => receive($stomp)->body, range(1, $count));
}

function order(): array
{
    $stomp = client();
    for ($number = 1; $number <= 10; $number++) {
        put($stomp, QUEUE, "message $number");
    }
    subscribe($stomp, QUEUE);
    for ($number = 11; $number <= 50; $number++) {
        put($stomp, QUEUE, "message $number");
    }
    return ['version' => VERSION, 'bodies' => bodies($stomp, 50), 'session' => $stomp->getSessionId()];
}

function topic_to_two(): array
{
    $first = client();
    $second = client();
    subscribe($first, TOPIC);
    subscribe($second, TOPIC);
    for ($number = 1; $number <= 3; $number++) {
        put($second, TOPIC, "message $number");
    }
    return ['first' => bodies($first, 3), 'second' => bodies($second, 3)];
}

function ack_client(): array
{
    fill(5);
    $stomp = client();
    subscribe($stomp, QUEUE, 'client');
    $received = [];
    for ($number = 1; $number <= 3; $number++) {
        $message = receive($stomp);
        $received[] = $message->body;
        if (VERSION === '1.0' || $number === 3) {
            settle($stomp, 'ack', $message);
        }
    }
    unset($stomp); // sends DISCONNECT
    return ['received' => $received, 'left' => drain()];
}

function ack_individual(): array
{
    fill(4);
    $stomp = client();
    subscribe($stomp, QUEUE, 'client-individual');
    $messages = array_map(fn() => receive($stomp), range(1, 4));
    settle($stomp, 'ack', $messages[3]);
    settle($stomp, 'ack', $messages[1]);
    unset($stomp);
    return ['received' => array_map(fn($m) => $m->body, $messages), 'left' => drain()];
}

function nack(): array
{
    fill(2);
    $stomp = client();
    subscribe($stomp, QUEUE, 'client-individual');
    $messages = [receive($stomp), receive($stomp)];
    settle($stomp, 'nack', $messages[0]);
    $messages[] = receive($stomp);
    settle($stomp, 'ack', $messages[2]);
    settle($stomp, 'ack', $messages[1]);
    unset($stomp);
    $deliveries = array_map(fn($m) => [$m->body, $m->headers['redelivered'] ?? 'false'], $messages);
    return ['deliveries' => $deliveries, 'left' => drain()];
}

function unsubscribe(): array
{
    $stomp = client();
    subscribe($stomp, QUEUE);
    unsubscribe_one($stomp);
    put($stomp, QUEUE, 'later', ['receipt' => 'stored']);
    unset($stomp);
    return ['left' => drain()];
}

function transaction_commit(): array
{
    $reader = client();
    $writer = client();
    subscribe($reader, QUEUE);
    expect($writer->begin('t1'), $writer);
    put($writer, QUEUE, 'inside 1', ['transaction' => 't1']);
    put($writer, QUEUE, 'inside 2', ['transaction' => 't1']);
    put($writer, QUEUE, 'outside');
    $bodies = bodies($reader, 1);
    expect($writer->commit('t1'), $writer);
    return ['bodies' => [...$bodies, ...bodies($reader, 2)]];
}

function transaction_abort(): array
{
    $stomp = client();
    expect($stomp->begin('t1'), $stomp);
    put($stomp, QUEUE, 'inside', ['transaction' => 't1']);
    expect($stomp->abort('t1'), $stomp);
    put($stomp, QUEUE, 'after', ['receipt' => 'stored']);
    unset($stomp);
    return ['left' => drain()];
}

function transaction_ack(): array
{
    $facts = [];
    foreach (['abort', 'commit'] as $ending) {
        fill(1);
        $stomp = client();
        subscribe($stomp, QUEUE, VERSION === '1.0' ? 'client' : 'client-individual');
        $message = receive($stomp);
        expect($stomp->begin('t1'), $stomp);
        settle($stomp, 'ack', $message, ['transaction' => 't1']);
        expect($stomp->$ending('t1', ['receipt' => 'ended']), $stomp);
        unset($stomp);
        $facts["after $ending"] = drain();
    }
    return $facts;
}

function binary(): array
{
    $stomp = client();
    subscribe($stomp, QUEUE);
    foreach ([EVERY_OCTET, '', "Grüße €\n"] as $body) {
        put($stomp, QUEUE, $body);
    }
    return ['bodies' => array_map('bin2hex', bodies($stomp, 3))];
}

function receipts(): array
{
    $stomp = client();
    subscribe($stomp, QUEUE);
    put($stomp, QUEUE, '', ['receipt' => 'a receipt']);
    expect($stomp->begin('t1', ['receipt' => 'begun']), $stomp);
    expect($stomp->commit('t1', ['receipt' => 'committed']), $stomp);
    unsubscribe_one($stomp);
    return ['receipts' => ['subscribed', 'a receipt', 'begun', 'committed', 'unsubscribed']];
}

function headers(): array
{
    $sent = array_intersect_key(HEADERS, array_flip(explode(',', getenv('INTEROP_HEADERS'))));
    $stomp = client();
    subscribe($stomp, QUEUE);
    put($stomp, QUEUE, 'body', $sent);
    return ['sent' => $sent, 'received' => array_intersect_key(receive($stomp)->headers, $sent)];
}

function error(): array
{
    $stomp = client();
    $done = $stomp->commit('no such transaction', ['receipt' => 'the commit']);
    $text = $stomp->error();
    $closed = false;
    try {
        $closed = $stomp->readFrame() === false;
    } catch (StompException) {
        $closed = true;
    }
    return ['message' => $done ? '' : $text, 'receipt-id' => null, 'body' => null, 'closed' => $closed];
}

function login(): array
{
    try {
        client(getenv('INTEROP_LOGIN'), getenv('INTEROP_PASSCODE'));
    } catch (StompException $refusal) {
        return ['connected' => false, 'text' => $refusal->getMessage() . ' ' . $refusal->getDetails()];
    }
    return ['connected' => true, 'text' => ''];
}

// Programs of steps, each a verb, the connection's name and what the verb needs.
function delivery(): array
{
    $programs = json_decode(getenv('INTEROP_PROGRAMS'), true, 512, JSON_THROW_ON_ERROR);
    return array_map(function ($steps) {
        try {
            return attempt($steps);
        } catch (Throwable $error) {
            return ['error' => $error->getMessage()];
        }
    }, $programs);
}

// The messages that each connection was given, as body and headers.
function attempt(array $steps): array
{
    $clients = [];
    $seen = [];
    $destinations = [];
    foreach ($steps as $step) {
        [$verb, $name] = $step;
        $rest = array_slice($step, 2);
        if ($verb === 'connect') {
            $clients[$name] = client('', '', $rest[0]);
            $seen[$name] = [];
            continue;
        }
        $stomp = $clients[$name];
        if ($verb === 'subscribe') {
            [$id, $destination, $ack, $headers] = $rest;
            subscribe($stomp, $destination, $ack, $id, $headers);
            $destinations[$id] = $destination;
        } elseif ($verb === 'unsubscribe') {
            [$id, $headers] = $rest;
            $headers += ['id' => $id, 'receipt' => 'unsubscribed'];
            expect($stomp->unsubscribe($destinations[$id], $headers), $stomp);
        } elseif ($verb === 'send') {
            put($stomp, $rest[0], $rest[1], $rest[2] + ['receipt' => 'sent']);
        } elseif ($verb === 'receive') {
            for ($number = 0; $number < $rest[0]; $number++) {
                $seen[$name][] = receive($stomp);
            }
        } elseif ($verb === 'reply') {
            put($stomp, $seen[$name][$rest[0]]->headers['reply-to'], $rest[1], ['receipt' => 'sent']);
        } elseif ($verb === 'close') {
            unset($clients[$name], $stomp); // sends DISCONNECT
        } else {
            settle($stomp, $verb, $seen[$name][$rest[0]], $rest[1] ?? []);
        }
    }
    return array_map(fn($got) => array_map(fn($m) => [$m->body, $m->headers], $got), $seen);
}

function produce(): array
{
    put(client(), QUEUE, EVERY_OCTET, ['x-from' => 'php', 'receipt' => 'stored']);
    return ['headers' => ['x-from' => 'php'], 'body' => bin2hex(EVERY_OCTET)];
}

function consume(): array
{
    $stomp = client();
    subscribe($stomp, QUEUE, 'client');
    $message = receive($stomp);
    settle($stomp, 'ack', $message);
    return ['headers' => ['x-from' => $message->headers['x-from']], 'body' => bin2hex($message->body)];
}

echo json_encode($scenario(), JSON_THROW_ON_ERROR), "\n";
