-- What wrk sends, and what it makes of replies. Written for `loadtests.bench.wrk`, which reads the line that begins with
-- `figures:`.
--
-- Environment: BENCH_BODY (a POST of this body; a GET where it is empty), BENCH_ENDING (what the body of a reply with
-- status 200 must end with to count as whole; anything where it is empty). Headers come by wrk's own -H.
--
-- wrk runs one Lua state a thread, and hands a value of it to the main one only where it is a number or a string: so
-- statuses are counted in globals named after them.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(_) -- before wrk puts the request together
  local body = os.getenv("BENCH_BODY") or ""
  if body ~= "" then
    wrk.method, wrk.body = "POST", body
  end
  ending = os.getenv("BENCH_ENDING") or ""
  cut_short = 0
end

function response(status, _, body)
  local name = "status_" .. status
  _G[name] = (_G[name] or 0) + 1
  if status == 200 and ending ~= "" and string.sub(body, -#ending) ~= ending then
    cut_short = cut_short + 1
  end
end

function done(summary, latency, _)
  local statuses, cut = {}, 0
  for _, thread in ipairs(threads) do
    cut = cut + thread:get("cut_short")
    for status = 100, 599 do
      local count = thread:get("status_" .. status)
      if count then
        statuses[status] = (statuses[status] or 0) + count
      end
    end
  end
  local by_status = {}
  for status, count in pairs(statuses) do
    table.insert(by_status, string.format('"%d": %d', status, count))
  end
  local errors = summary.errors
  io.write(string.format(
    'figures: {"took_us": %d, "requests": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, "max_us": %d, ' ..
    '"errors": %d, "timeouts": %d, "cut_short": %d, "by_status": {%s}}\n',
    summary.duration, summary.requests, summary.bytes,
    latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write, errors.timeout, cut, table.concat(by_status, ", ")))
end
