"""
The steps of the protocol that Redis carries out at once, in Lua.

What may stand under a company's keys, all of it with an end of its own:

- a value: `=1` and the envelope of values.py, or a tombstone: `!` and 32 hex digits that name the unit of work;
- a lease: 32 hex digits that name the reader;
- a generation: 32 hex digits, `@` and the moment from which on values may be kept under it, in milliseconds of the server's clock;
- a closed generation: `!`, then of each who closed it 32 hex digits, `@` and the moment at which it counts as dead, each ended by `;`, then
  `|` and the generation to go on with, or nothing where another one has to begin.

Anything else is not ours, and goes. A server that is full refuses a script whose first step needs room: what keeps values away deletes
first, so that it is heard even there, and what keeps values writes first, so that it is not.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from attrs import Factory, field, frozen


def _name(script: Script) -> str:
    return sha1(script.text.encode()).hexdigest()  # noqa: S324 - Redis itself names scripts so


@frozen(eq=False)
class Script:
    """One script, and the name Redis knows it by."""

    text: str
    name: str = field(init=False, default=Factory(_name, takes_self=True))


_COMMON: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function digits(number)
  return string.format('%.0f', number)
end

-- the text under a key, or its beginning; nothing where another hand put what is no text
local function text_at(key, last)
  local found = redis.pcall('GETRANGE', key, 0, last)
  if type(found) ~= 'string' then
    redis.call('DEL', key)
    return ''
  end
  return found
end

local function is_tombstone(text)
  return #text == 33 and string.find(text, '^!%x+$') ~= nil
end

-- the moment from which on values may be kept under a generation that is not closed
local function beginning(generation)
  if string.find(generation, '^%x+@%d+$') and #generation < 64 then
    return tonumber(string.match(generation, '@(%d+)$'))
  end
end

-- of a generation that is closed: the moments at which those who closed it count as dead, by their names, and what to go on with
local function closed(generation)
  local entries, after = string.match(generation, '^!([%x@;]*)|([%x@]*)$')
  if not entries then
    return nil
  end
  local alive = {}
  for name, dead_at in string.gmatch(entries, '(%x+)@(%d+);') do
    if tonumber(dead_at) > now then
      alive[name] = tonumber(dead_at)
    else
      after = ''
    end
  end
  return alive, after
end

local function close(key, alive, after)
  local entries, last = {}, now
  for name, dead_at in pairs(alive) do
    entries[#entries + 1] = name .. '@' .. digits(dead_at) .. ';'
    last = math.max(last, dead_at)
  end
  redis.call('SET', key, '!' .. table.concat(entries) .. '|' .. after, 'PX', digits(math.max(1, last - now)))
end
"""

#: KEYS: generation, counts, then value and lease of each key. ARGV: a fresh generation, the reader, milliseconds of lease, settling,
#: generation and value, then four counts, then for each key whether what was seen there is no value. Gives nothing where nothing may be
#: kept, else the generation, the moment at which values end, and for each key whether the lease was had.
LEASE: Final = Script(
    _COMMON
    + """
local generation = text_at(KEYS[1], -1)
local from = beginning(generation)
if not from then
  local alive = closed(generation)
  if alive and next(alive) then
    return {}
  end
  from = now + tonumber(ARGV[4])
  generation = ARGV[1] .. '@' .. digits(from)
  redis.call('SET', KEYS[1], generation, 'PX', ARGV[5])
end
local told = {generation, digits(now + tonumber(ARGV[6]))}
for place = 3, #KEYS, 2 do
  local value, lease, number = KEYS[place], KEYS[place + 1], (place - 1) / 2
  local stands = text_at(value, 33)
  if stands ~= '' and ARGV[10 + number] == '1' and not is_tombstone(stands) then
    redis.call('DEL', value)
    stands = ''
  end
  local had = stands == '' and from <= now and redis.call('SET', lease, ARGV[2], 'NX', 'PX', ARGV[3])
  told[#told + 1] = had and 1 or 0
end
for place, name in ipairs({'hits', 'misses', 'bypasses', 'errors'}) do
  if ARGV[6 + place] ~= '0' then
    redis.call('HINCRBY', KEYS[2], name, ARGV[6 + place])
    redis.call('PEXPIRE', KEYS[2], ARGV[5])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return told
"""
)

#: KEYS: generation, then value and lease of each key. ARGV: the reader, the generation, the moment at which values end, then the values.
POPULATE: Final = Script(
    _COMMON
    + """
if text_at(KEYS[1], -1) ~= ARGV[2] or tonumber(ARGV[3]) <= now then
  return 0
end
local kept = 0
for place = 2, #KEYS, 2 do
  if text_at(KEYS[place + 1], 32) == ARGV[1] then
    redis.call('SET', KEYS[place], ARGV[3 + place / 2], 'PXAT', ARGV[3])
    redis.call('DEL', KEYS[place + 1])
    kept = kept + 1
  end
end
return kept
"""
)

#: KEYS: value and lease of each key. ARGV: the tombstone, and for how many milliseconds it stands.
BURY: Final = Script(
    """
redis.call('DEL', unpack(KEYS))
for place = 1, #KEYS, 2 do
  redis.call('SET', KEYS[place], ARGV[1], 'PX', ARGV[2])
end
return #KEYS / 2
"""
)

#: KEYS: value and lease of each key. ARGV: the tombstone that may go; another one stays, and values go in any case.
RELEASE: Final = Script(
    _COMMON
    + """
for place = 1, #KEYS, 2 do
  local stands = text_at(KEYS[place], 33)
  if not is_tombstone(stands) or stands == ARGV[1] then
    redis.call('DEL', KEYS[place], KEYS[place + 1])
  end
end
return 1
"""
)

#: KEYS: generations. ARGV: who closes them, for how many milliseconds at most, and whether they may go on as they were.
CLOSE: Final = Script(
    _COMMON
    + """
for _, key in ipairs(KEYS) do
  local generation = text_at(key, -1)
  local alive, after = closed(generation)
  if not alive then
    alive, after = {}, beginning(generation) and generation or ''
  end
  alive[ARGV[1]] = now + tonumber(ARGV[2])
  redis.call('DEL', key)
  close(key, alive, ARGV[3] == '1' and after or '')
end
return 1
"""
)

#: KEYS: generations, then value and lease of keys that go. ARGV: how many generations, who closed them, a fresh one, for how many
#: milliseconds it lives, and whether they may go on as they were.
OPEN: Final = Script(
    _COMMON
    + """
local generations = tonumber(ARGV[1])
for place = generations + 1, #KEYS, 2 do
  if not is_tombstone(text_at(KEYS[place], 33)) then
    redis.call('DEL', KEYS[place])
  end
  redis.call('DEL', KEYS[place + 1])
end
for place = 1, generations do
  local key = KEYS[place]
  local generation = text_at(key, -1)
  local alive, after = closed(generation)
  local from = beginning(generation)
  if from then
    redis.call('SET', key, ARGV[3] .. '@' .. digits(from), 'PX', ARGV[4])
  elseif alive then
    local was_there = alive[ARGV[2]]
    alive[ARGV[2]] = nil
    if ARGV[5] ~= '1' or not was_there then
      after = ''
    end
    if next(alive) then
      close(key, alive, after)
    else
      redis.call('SET', key, after ~= '' and after or ARGV[3] .. '@' .. digits(now), 'PX', ARGV[4])
    end
  elseif generation ~= '' then
    redis.call('DEL', key)
  end
end
return 1
"""
)
