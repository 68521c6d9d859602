-- What wrk sends, and what it makes of replies. Written for `loadtests.bench.wrk`, which reads the line that begins with
-- `figures:`.
--
-- Environment: BENCH_BODY (a POST of this body; a GET where it is empty), BENCH_ENDING (what the body of a reply with
-- status 200 must end with to count as whole; anything where it is empty), BENCH_CONNECTIONS (how many there are).
-- Headers come by wrk's own -H.
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
  cut_short, sample = 0, ""
end

function response(status, _, body)
  local name = "status_" .. status
  _G[name] = (_G[name] or 0) + 1
  if status == 200 and ending ~= "" and string.sub(body, -#ending) ~= ending then
    cut_short = cut_short + 1
  end
  if status >= 500 and sample == "" then
    sample = string.gsub(string.sub(body, 1, 300), '[%c"\\\\]', "'")
  end
end

-- The times that were measured, and how often each, in order. Before it calls `done`, wrk adds to each that is longer
-- than two turns of a connection what others would have seen that had asked meanwhile, had it let them: that time less
-- one turn, less two, and so on. From the longest on that can be taken off again.
local function measured(summary, latency)
  local times, counts = {}, {}
  for i = 1, #latency do
    local us, count = latency(i)
    times[i], counts[us] = us, count
  end
  local turns = math.floor(summary.requests / tonumber(os.getenv("BENCH_CONNECTIONS") or "1"))
  local turn_us = turns > 0 and math.floor(summary.duration / turns) or math.huge
  for i = #times, 1, -1 do
    local us = times[i]
    local count = counts[us]
    if us >= 2 * turn_us and count > 0 then
      local added = us - turn_us
      while added > turn_us do
        counts[added] = counts[added] - count
        added = added - turn_us
      end
    end
  end
  return times, counts
end

local function percentile(times, counts, all, share)
  local seen = 0
  for _, us in ipairs(times) do
    seen = seen + counts[us]
    if seen >= share * all and seen > 0 then
      return us
    end
  end
  return 0
end

function done(summary, latency, _)
  local statuses, cut, sample = {}, 0, ""
  for _, thread in ipairs(threads) do
    cut = cut + thread:get("cut_short")
    sample = sample == "" and thread:get("sample") or sample
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
  local times, counts = measured(summary, latency)
  local all, total_us = 0, 0
  for _, us in ipairs(times) do
    all, total_us = all + counts[us], total_us + counts[us] * us
  end
  io.write(string.format(
    'figures: {"took_us": %d, "requests": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, "max_us": %d, ' ..
    '"mean_us": %d, "timed": %d, "errors": %d, "timeouts": %d, "cut_short": %d, "by_status": {%s}, "sample": "%s"}\n',
    summary.duration, summary.requests, summary.bytes,
    percentile(times, counts, all, 0.5), percentile(times, counts, all, 0.99), latency.max,
    all > 0 and total_us / all or 0, all,
    errors.connect + errors.read + errors.write, errors.timeout, cut, table.concat(by_status, ", "), sample))
end
