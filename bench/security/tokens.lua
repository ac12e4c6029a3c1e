-- wrk: requests with the tokens of a file in turn. `-- FILE COUNT`; without tokens when COUNT is 0.
local requests, turn = {}, 0

function init(args)
  local most = tonumber(args[2])
  if most == 0 then
    requests[1] = wrk.format()
    return
  end
  for token in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format(nil, nil, { ["Authorization"] = "Bearer " .. token })
    if #requests == most then return end
  end
  error("there are not so many tokens")
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
