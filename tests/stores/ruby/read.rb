# Reads ar_messages as a Rails application does, with the model of the original's man page, and prints what it
# finds as JSON: ruby read.rb '{"adapter": ..., "database": ...}'. Texts come as UTF-8, octets as {"binary": base64}.
require "active_record"
require "json"

ActiveRecord::Base.establish_connection(JSON.parse(ARGV.fetch(0)))

class ArMessage < ActiveRecord::Base
  serialize :frame
end

class StompserverQueue < ActiveRecord::Base
  has_many :messages, class_name: "ArMessage", foreign_key: :queue_id
end

def plain(value)
  case value
  when Hash then value.to_a.map { |name, each| [plain(name), plain(each)] }
  when String
    value.encoding == Encoding::BINARY ? { "binary" => [value].pack("m0") } : value
  else raise "#{value.class} in a frame"
  end
end

rows = ArMessage.order(:id).map do |message|
  frame = message.frame
  {
    "id" => message.id, "stomp_id" => message.stomp_id, "keys" => frame.keys, "command" => frame["command"],
    "headers" => plain(frame["headers"]), "body" => plain(frame["body"]), "attempts" => message.attempts,
  }
end
queues = StompserverQueue.all.to_h { |queue| [queue.name, queue.messages.count] }
puts JSON.generate("rows" => rows, "queues" => queues, "active_record" => ActiveRecord.version.to_s)
