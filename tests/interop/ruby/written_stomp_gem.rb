# The stomp gem, as its users call it, carries out a job of ../record.py.

require 'json'
require 'stomp'
require 'timeout'

job = JSON.parse(ENV.fetch('INTEROP_JOB'))
client = Stomp::Client.new('guest', 'guest', ARGV[0], ARGV[1].to_i)
(job['sends'] || []).each { |each| client.publish(job['queue'], each['body'], each['headers']) }
if job['ack']
  messages = Queue.new
  client.subscribe(job['queue'], ack: job['ack']) { |message| messages << message }
  taken = Timeout.timeout(10) { Array.new(job['take']) { messages.pop } }
  job['settle'].each { |number| client.acknowledge(taken[number]) }
end
client.close
puts JSON.generate(Stomp::Version::STRING)
