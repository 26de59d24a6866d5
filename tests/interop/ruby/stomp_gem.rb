# The stomp gem (Debian: ruby-stomp); ../README.md tells the scenarios, each a method here.
# Arguments: host, port, version, scenario, key. The result goes to stdout as JSON.

require 'json'
require 'stomp'
require 'timeout'

EVERY_OCTET = ((0..255).to_a * 2).pack('C*')
HEADERS = {
  'colon' => 'a:b::c',
  'backslash' => 'one\\two',
  'path' => 'c:\\new\\table\\\\',
  'newline' => "one\ntwo\n",
  'return' => "one\r\ntwo\r",
  'utf8' => "Grüße, 日本, \u{1f40d}",
  'spaces' => '  kept  ',
  'empty' => ''
}.freeze

HOST, PORT, VERSION, SCENARIO, KEY = ARGV
QUEUE = "/queue/#{KEY}".freeze
TOPIC = "/topic/#{KEY}".freeze

# What the scenarios need of a connection, by Stomp::Connection's own methods.
class Client
  attr_reader :receipts, :connection

  def initialize(login: '', passcode: '', heartbeat: nil, more: {})
    headers = more.dup
    headers.merge!('accept-version' => VERSION, 'host' => HOST) unless VERSION == '1.0'
    headers['heart-beat'] = heartbeat if heartbeat
    place = { login: login, passcode: passcode, host: HOST, port: PORT.to_i }
    place[:ssl] = tls if ENV.key?('INTEROP_CA')
    @connection = Stomp::Connection.new(
      hosts: [place],
      reliable: false, connect_headers: headers, connect_timeout: 10, connread_timeout: 10
    )
    @receipts = []
    @messages = []
  end

  def tls
    Stomp::SSLParams.new(
      ts_files: ENV['INTEROP_CA'], cert_file: ENV['INTEROP_CERT'], key_file: ENV['INTEROP_CERT'], fsck: true
    )
  end

  def frame
    Timeout.timeout(10) { @connection.receive }
  end

  def wait_for_receipt(wanted)
    got = frame
    while got.command == 'MESSAGE'
      @messages << got
      got = frame
    end
    raise "#{got.command} #{got.headers} instead of #{wanted}" unless got.headers['receipt-id'] == wanted

    @receipts << wanted
  end

  def subscribe(destination, ack = 'auto', id = 'one', headers = {})
    @connection.subscribe(destination, headers.merge(ack: ack, receipt: 'subscribed'), id)
    wait_for_receipt('subscribed')
  end

  def unsubscribe(destination, id = 'one', headers = {})
    @connection.unsubscribe(destination, headers.merge(receipt: 'unsubscribed'), id)
    wait_for_receipt('unsubscribed')
  end

  def send(destination, body, headers = {})
    @connection.publish(destination, body, headers)
    wait_for_receipt(headers[:receipt]) if headers[:receipt]
  end

  def receive
    message = @messages.shift || frame
    raise "#{message.command} #{message.headers} #{message.body}" unless message.command == 'MESSAGE'

    message
  end

  def ack(message, headers = {})
    settle(:ack, message, headers)
  end

  def nack(message, headers = {})
    settle(:nack, message, headers)
  end

  def settle(verb, message, headers)
    headers = headers.merge(subscription: message.headers['subscription']) if VERSION == '1.1'
    @connection.public_send(verb, message.headers[VERSION == '1.2' ? 'ack' : 'message-id'], headers)
  end

  def demarcate(verb, transaction, headers = {})
    @connection.public_send(verb, transaction, headers)
    wait_for_receipt(headers[:receipt]) if headers[:receipt]
  end

  def close
    @connection.disconnect(receipt: 'bye')
    @receipts << @connection.disconnect_receipt.headers['receipt-id']
  end
end

def drain
  client = Client.new
  client.send(QUEUE, 'END')
  client.subscribe(QUEUE)
  bodies = []
  bodies << client.receive.body until bodies.include?('END')
  client.close
  bodies
end

def fill(count)
  client = Client.new
  (1..count).each { |number| client.send(QUEUE, "message #{number}") }
  client.close
end

def order
  client = Client.new
  (1..10).each { |number| client.send(QUEUE, "message #{number}") }
  client.subscribe(QUEUE)
  (11..50).each { |number| client.send(QUEUE, "message #{number}") }
  bodies = Array.new(50) { client.receive.body }
  client.close
  { version: client.connection.protocol, bodies: bodies }
end

def topic_to_two
  first = Client.new
  second = Client.new
  first.subscribe(TOPIC)
  second.subscribe(TOPIC)
  (1..3).each { |number| second.send(TOPIC, "message #{number}") }
  facts = { first: Array.new(3) { first.receive.body }, second: Array.new(3) { second.receive.body } }
  first.close
  second.close
  facts
end

def ack_client
  fill(5)
  client = Client.new
  client.subscribe(QUEUE, 'client')
  received = (1..3).map do |number|
    message = client.receive
    client.ack(message) if VERSION == '1.0' || number == 3
    message.body
  end
  client.close
  { received: received, left: drain }
end

def ack_individual
  fill(4)
  client = Client.new
  client.subscribe(QUEUE, 'client-individual')
  messages = Array.new(4) { client.receive }
  client.ack(messages[3])
  client.ack(messages[1])
  client.close
  { received: messages.map(&:body), left: drain }
end

def nack
  fill(2)
  client = Client.new
  client.subscribe(QUEUE, 'client-individual')
  messages = Array.new(2) { client.receive }
  client.nack(messages[0])
  messages << client.receive
  client.ack(messages[2])
  client.ack(messages[1])
  client.close
  { deliveries: messages.map { |m| [m.body, m.headers['redelivered'] || 'false'] }, left: drain }
end

def unsubscribe
  client = Client.new
  client.subscribe(QUEUE)
  client.unsubscribe(QUEUE)
  client.send(QUEUE, 'later')
  client.close
  { left: drain }
end

def transaction_commit
  reader = Client.new
  writer = Client.new
  reader.subscribe(QUEUE)
  writer.demarcate(:begin, 't1')
  writer.send(QUEUE, 'inside 1', transaction: 't1')
  writer.send(QUEUE, 'inside 2', transaction: 't1')
  writer.send(QUEUE, 'outside')
  bodies = [reader.receive.body]
  writer.demarcate(:commit, 't1')
  2.times { bodies << reader.receive.body }
  writer.close
  reader.close
  { bodies: bodies }
end

def transaction_abort
  client = Client.new
  client.demarcate(:begin, 't1')
  client.send(QUEUE, 'inside', transaction: 't1')
  client.demarcate(:abort, 't1')
  client.send(QUEUE, 'after')
  client.close
  { left: drain }
end

def transaction_ack
  %i[abort commit].to_h do |ending|
    fill(1)
    client = Client.new
    client.subscribe(QUEUE, VERSION == '1.0' ? 'client' : 'client-individual')
    message = client.receive
    client.demarcate(:begin, 't1')
    client.ack(message, transaction: 't1')
    client.demarcate(ending, 't1')
    client.close
    ["after #{ending}", drain]
  end
end

def binary
  client = Client.new
  client.subscribe(QUEUE)
  [EVERY_OCTET, '', "Grüße €\n"].each { |body| client.send(QUEUE, body) }
  bodies = Array.new(3) { client.receive.body.unpack1('H*') }
  client.close
  { bodies: bodies }
end

def receipts
  client = Client.new
  client.subscribe(QUEUE)
  client.send(QUEUE, '', receipt: 'a receipt')
  client.demarcate(:begin, 't1', receipt: 'begun')
  client.demarcate(:commit, 't1', receipt: 'committed')
  client.unsubscribe(QUEUE)
  client.close
  { receipts: client.receipts }
end

def headers
  sent = HEADERS.slice(*ENV.fetch('INTEROP_HEADERS').split(','))
  client = Client.new
  client.subscribe(QUEUE)
  client.send(QUEUE, 'body', sent.dup)
  received = client.receive.headers
  client.close
  { sent: sent, received: sent.to_h { |name, _| [name, received[name]] } }
end

def error
  client = Client.new
  client.connection.commit('no such transaction', receipt: 'the commit')
  frame = client.frame
  raise "#{frame.command} instead of ERROR" unless frame.command == 'ERROR'

  closed = begin
    client.frame.nil?
  rescue Stomp::Error::StompServerError, EOFError
    true
  end
  {
    message: frame.headers['message'], 'receipt-id' => frame.headers['receipt-id'],
    body: frame.body, closed: closed
  }
end

def login
  client = Client.new(login: ENV.fetch('INTEROP_LOGIN'), passcode: ENV.fetch('INTEROP_PASSCODE'))
  answer = client.connection.connection_frame
  return { connected: false, text: "#{answer.headers['message']} #{answer.body}" } if answer.command == 'ERROR'

  client.close
  { connected: true, text: '' }
end

def heartbeat
  client = Client.new(heartbeat: '200,200')
  client.subscribe(QUEUE)
  sleep ENV.fetch('INTEROP_IDLE').to_f
  connection = client.connection
  raise 'the server fell silent' unless connection.hb_received && connection.hbrecv_count.positive?
  raise 'could not beat' unless connection.hb_sent && connection.hbsend_count.positive?

  client.send(QUEUE, 'still here')
  body = client.receive.body
  client.close
  { body: body }
end

def monitor
  client = Client.new
  client.send(QUEUE, 'counted')
  client.subscribe('/queue/monitor')
  body = client.receive.body
  client.close
  { body: body }
end

# Programs of steps, each a verb, the connection's name and what the verb needs.
def delivery
  JSON.parse(ENV.fetch('INTEROP_PROGRAMS')).transform_values do |steps|
    attempt(steps)
  rescue StandardError => error
    { error: error.inspect }
  end
end

def attempt(steps)
  clients = {}
  seen = {}
  steps.each do |verb, name, *rest|
    if verb == 'connect'
      clients[name] = Client.new(more: rest[0])
      seen[name] = []
    elsif verb == 'close'
      clients.delete(name).close
    else
      step(clients[name], seen[name], verb, *rest)
    end
  end
  clients.each_value(&:close)
  seen.transform_values { |got| got.map { |message| [message.body, message.headers] } }
end

def step(client, seen, verb, *rest)
  case verb
  when 'subscribe'
    id, destination, ack, headers = rest
    client.subscribe(destination, ack, id, headers)
    (@destinations ||= {})[id] = destination
  when 'unsubscribe' then client.unsubscribe(@destinations[rest[0]], *rest)
  when 'send' then client.send(rest[0], rest[1], rest[2].merge(receipt: 'sent'))
  when 'receive' then rest[0].times { seen << client.receive }
  when 'reply' then client.send(seen[rest[0]].headers['reply-to'], rest[1], receipt: 'sent')
  else client.public_send(verb, seen[rest[0]], rest[1] || {})
  end
end

# The gem's own redelivery: ACK and SEND of a copy in a transaction, after some times to a dead letter queue.
def unreceive
  fill(1)
  client = Client.new
  client.connection.subscribe(QUEUE, { ack: 'client', receipt: 'subscribed' }, 'one')
  client.wait_for_receipt('subscribed')
  options = { dead_letter_queue: "#{QUEUE}.dead", max_redeliveries: 2, force_client_ack: true }
  counts = Array.new(3) do
    message = client.receive
    count = message.headers['retry_count']
    client.connection.unreceive(message, options)
    count
  end
  client.connection.unsubscribe(QUEUE, { receipt: 'unsubscribed' }, 'one')
  client.wait_for_receipt('unsubscribed')
  client.subscribe("#{QUEUE}.dead", 'auto', 'two')
  dead = client.receive
  client.close
  { counts: counts, dead: dead.body, origin: dead.headers['original_destination'], left: drain }
end

def produce
  client = Client.new
  client.send(QUEUE, EVERY_OCTET, 'x-from' => 'ruby', receipt: 'stored')
  client.close
  { headers: { 'x-from' => 'ruby' }, body: EVERY_OCTET.unpack1('H*') }
end

def consume
  client = Client.new
  client.subscribe(QUEUE, 'client')
  message = client.receive
  client.ack(message)
  client.close
  { headers: { 'x-from' => message.headers['x-from'] }, body: message.body.unpack1('H*') }
end

puts JSON.generate(method(SCENARIO).call)
