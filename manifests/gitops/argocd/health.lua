-- The health of an OdpDaskJob, for Argo CD. It reads conditions only; status.phase is for people.
local health = {status = "Progressing", message = "waiting for the operator"}

local status = obj.status
if status == nil or status.conditions == nil then
  return health
end
if status.message ~= nil then
  health.message = status.message
end
if obj.metadata.deletionTimestamp ~= nil then
  return health
end

local holds = {}
for _, condition in ipairs(status.conditions) do
  holds[condition.type] = condition.status == "True"
end

-- An end is final: what may still change of such a job, its ttl for one, makes nothing of it undone.
if holds.Complete then
  health.status = "Healthy"
elseif holds.Failed or holds.Stalled then
  health.status = "Degraded"
elseif status.observedGeneration ~= obj.metadata.generation then
  health.message = "waiting for the operator to see the change"
elseif holds.Suspended and holds.Ready then
  health.status = "Suspended"
end
return health
