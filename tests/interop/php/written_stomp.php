<?php
// PHP's stomp extension, as its users call it, carries out a job of ../record.py.

declare(strict_types=1);

$job = json_decode(getenv('INTEROP_JOB'), true, 512, JSON_THROW_ON_ERROR);
$stomp = new Stomp("tcp://$argv[1]:$argv[2]", 'guest', 'guest');
foreach ($job['sends'] ?? [] as $each) {
    $stomp->send($job['queue'], $each['body'], $each['headers']);
}
if (isset($job['ack'])) {
    // Without a word of its user the extension asks for one message at a time.
    $stomp->subscribe($job['queue'], ['ack' => $job['ack'], 'activemq.prefetchSize' => '1000']);
    $messages = [];
    for ($number = 0; $number < $job['take']; $number++) {
        $messages[] = $stomp->readFrame() ?: throw new Exception('no message: ' . $stomp->error());
    }
    foreach ($job['settle'] as $number) {
        $stomp->ack($messages[$number]);
    }
}
unset($stomp);
echo json_encode(phpversion('stomp')), "\n";
