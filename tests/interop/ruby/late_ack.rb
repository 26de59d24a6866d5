# The stomp gem, whose client connects again by itself (Debian: ruby-stomp): a worker that is done after that.
# Arguments: host, port, queue. Says what it has done, line by line.

require 'stomp'
require 'timeout'

HOST, PORT, NAME = ARGV
$stdout.sync = true
messages = Queue.new
client = Stomp::Client.new(
  hosts: [{ host: HOST, port: PORT.to_i }], reliable: true, initial_reconnect_delay: 0.05, max_reconnect_delay: 0.2,
  connect_headers: { 'accept-version' => '1.2', 'host' => HOST }
)

def confirmed
  done = Queue.new
  yield(proc { |receipt| done << receipt })
  Timeout.timeout(20) { done.pop }
end

client.subscribe(NAME, ack: 'client-individual', id: 's') { |message| messages << message }
first = Timeout.timeout(20) { Array.new(4) { messages.pop } }
confirmed { |done| client.acknowledge(first[0], &done) }
puts 'working'
again = Timeout.timeout(20) { Array.new(3) { messages.pop } }
puts "again #{again.map(&:body).join(' ')}"
receipt = confirmed { |done| client.acknowledge(first[1], &done) }
puts "late #{receipt.headers['warning']}"
client.close
