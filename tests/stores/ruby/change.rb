# Changes each message as a Rails application might, with the model of the original's man page: one more header, and
# a longer body.
require "active_record"
require "json"

ActiveRecord::Base.establish_connection(JSON.parse(ARGV.fetch(0)))

class ArMessage < ActiveRecord::Base
  serialize :frame
end

ArMessage.find_each do |message|
  message.frame["headers"]["seen-by"] = "Rails"
  message.frame["body"] += "!"
  message.save!
end
