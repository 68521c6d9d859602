-- As `loadtests/bench/wrk.lua`, with another API key for each request, taken at random. Written for
-- `loadtests.bench.growth.ingress_level`.
--
-- Environment: what wrk.lua reads; BENCH_SCRIPT (its path), BENCH_KEYS (how many keys there are), BENCH_KEY_FORMAT (of
-- one of them, by its number).

dofile(os.getenv("BENCH_SCRIPT"))

local count, format = tonumber(os.getenv("BENCH_KEYS")), os.getenv("BENCH_KEY_FORMAT")
local started = init

function init(args)
  started(args)
  math.randomseed(1)
end

function request()
  wrk.headers["Authorization"] = "Bearer " .. string.format(format, math.random(0, count - 1))
  return wrk.format()
end
