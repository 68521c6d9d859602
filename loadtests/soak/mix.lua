-- What the soak sends: every kind of request, at a steady pace. Built on the benchmarks' script, which counts replies.
--
-- Environment: SOAK_REQUESTS (a line for each kind: its share of 1000, its key, its body; tabs between), SOAK_PAUSE_MS
-- (between a reply and the connection's next request), SOAK_SCRIPT (the benchmarks' script).

dofile(os.getenv("SOAK_SCRIPT"))

local kinds, pause_ms, init_of_bench, response_of_bench = {}, 0, init, response

function init(args)
  init_of_bench(args)
  math.randomseed(tonumber(os.getenv("SOAK_SEED") or "1"))
  pause_ms = tonumber(os.getenv("SOAK_PAUSE_MS") or "0")
  local upto = 0
  for line in string.gmatch(os.getenv("SOAK_REQUESTS"), "[^\n]+") do
    local share, key, body = string.match(line, "^(%d+)\t([^\t]+)\t(.+)$")
    upto = upto + tonumber(share)
    local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. key }
    table.insert(kinds, { upto = upto, request = wrk.format("POST", nil, headers, body) })
  end
end

function request()
  local drawn = math.random() * kinds[#kinds].upto
  for _, kind in ipairs(kinds) do
    if drawn < kind.upto then
      return kind.request
    end
  end
end

function response(status, headers, body)
  ending = "}"
  for name, value in pairs(headers) do
    if string.lower(name) == "content-type" and string.find(value, "event-stream", 1, true) then
      ending = "data: [DONE]\n\n" -- an error within a stream ends it without
    end
  end
  response_of_bench(status, headers, body)
end

function delay() -- spread, so that connections do not ask in step
  return pause_ms * (0.5 + math.random())
end
