-- What wrk sends, and what it tells: the targets of a file, one after the other, with the headers of a browser.
-- wrk -s plex.lua URL -- FILE
local requests, next_request = {}, 0

-- The proxy is on loopback, whatever its host.
local resolve = wrk.resolve
function wrk.resolve(_, service) resolve("127.0.0.1", service) end

function init(args)
	local headers = {
		["Host"] = wrk.host .. ":" .. wrk.port,
		["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
		["Accept"] = "application/json",
		["Accept-Language"] = "en",
		["Referer"] = args[0] .. "/web/index.html",
	}
	for target in io.lines(args[1]) do
		requests[#requests + 1] = wrk.format("GET", target, headers)
	end
end

function request()
	next_request = next_request % #requests + 1
	return requests[next_request]
end

-- One line: requests, microseconds, bytes, errors, the 99th percentile of the latency in microseconds.
function done(summary, latency)
	local e = summary.errors
	io.write(string.format("measured %d %d %d %d %d\n", summary.requests, summary.duration, summary.bytes,
		e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(99)))
end
