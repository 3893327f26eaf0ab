-- Generic UDP Encapsulation with a list of second hops, for Wireshark and tshark (3.6 or newer, with Lua).
--
--   wireshark -X lua_script:scripts/wireshark/twohop-gue.lua out.pcapng
--   tshark -X lua_script:scripts/wireshark/twohop-gue.lua -r out.pcapng -Y 'twohop.hop == 10.0.3.1'
--
-- To have it always, copy it into the folder of personal Lua plugins (Help, About Wireshark, Folders). UDP ports are a
-- preference of the protocol GUE: 6080 (IANA) and 19523 (GitHub's GLB) unless told otherwise, as in
-- `-o gue.ports:6080,7000`.
--
-- What it shows, and what filters can name:
--
--   gue.variant gue.control gue.hlen gue.proto gue.flags       the GUE header (draft-ietf-intarea-gue-09 section 3)
--   twohop.version twohop.forward_syn twohop.last_hop_gre      the private data
--   twohop.reserved twohop.next_hop twohop.hop_count
--   twohop.hop twohop.hop.next                                 all hops; the one to try next
--   twohop.overhead                                            bytes that the wrapper adds, outer IP header included
--   gue.malformed twohop.malformed                             whatever is wrong (expert information)
--
-- The packet inside is shown by Wireshark's own dissectors. Variant 1 is an IP packet behind the UDP header.

local gue = Proto("gue", "Generic UDP Encapsulation")
local twohop = Proto("twohop", "Second-hop list")

local protocols = { [4] = "IPv4", [41] = "IPv6" }

local f_variant = ProtoField.uint8("gue.variant", "Variant", base.DEC, nil, 0xc0)
local f_control = ProtoField.bool("gue.control", "Control message", 8, nil, 0x20)
local f_hlen = ProtoField.uint8("gue.hlen", "Hlen (32-bit words behind the first)", base.DEC, nil, 0x1f)
local f_proto = ProtoField.uint8("gue.proto", "Proto", base.DEC, protocols)
local f_flags = ProtoField.uint16("gue.flags", "Flags", base.HEX)
local f_rest = ProtoField.bytes("gue.rest", "Optional fields and private data")
gue.fields = { f_variant, f_control, f_hlen, f_proto, f_flags, f_rest }

local f_version = ProtoField.uint8("twohop.version", "Version", base.DEC, nil, 0xf0)
local f_forward_syn = ProtoField.bool("twohop.forward_syn", "S: a SYN goes on to the next hop too", 8, nil, 0x08)
local f_last_hop_gre = ProtoField.bool("twohop.last_hop_gre", "G: GRE for the last step", 8, nil, 0x04)
local f_unused = ProtoField.uint8("twohop.unused", "Unused", base.DEC, nil, 0x03)
local f_reserved = ProtoField.uint8("twohop.reserved", "Reserved", base.HEX)
local f_next_hop = ProtoField.uint8("twohop.next_hop", "Next hop", base.DEC)
local f_hop_count = ProtoField.uint8("twohop.hop_count", "Hop count", base.DEC)
local f_hop = ProtoField.ipv4("twohop.hop", "Hop")
local f_next = ProtoField.ipv4("twohop.hop.next", "Next hop's address")
local f_behind = ProtoField.bytes("twohop.behind", "Private data behind the list")
local f_overhead = ProtoField.uint32("twohop.overhead", "Overhead of the wrapper", base.DEC)
twohop.fields = {
  f_version, f_forward_syn, f_last_hop_gre, f_unused, f_reserved, f_next_hop, f_hop_count, f_hop, f_next, f_behind,
  f_overhead,
}

local e_gue = ProtoExpert.new("gue.malformed", "Malformed GUE header", expert.group.MALFORMED, expert.severity.ERROR)
local e_list = ProtoExpert.new("twohop.malformed", "Malformed list", expert.group.MALFORMED, expert.severity.ERROR)
gue.experts = { e_gue }
twohop.experts = { e_list }

gue.prefs.ports = Pref.range("UDP ports", "6080,19523", "Destination ports of GUE", 65535)

local ip = Dissector.get("ip")
local ipv6 = Dissector.get("ipv6")
local data = Dissector.get("data")

-- IPv4 without options, or IPv6, and UDP: what lies in front of the GUE header.
local function outer_headers(pinfo)
  return (tostring(pinfo.net_dst):find(":", 1, true) and 40 or 20) + 8
end

-- Adds a field where its bytes are here.
local function add(tree, field, tvb, at, length)
  if at + length <= tvb:captured_len() then tree:add(field, tvb(at, length)) end
end

-- Reads the private data, `length` bytes of it by Hlen. Returns what the info column says of it.
local function dissect_list(tvb, pinfo, tree, length, here)
  local list = tree:add(twohop, tvb(0, math.min(length, here)))
  for _, field in ipairs({ f_version, f_forward_syn, f_last_hop_gre, f_unused }) do
    add(list, field, tvb, 0, 1)
  end
  add(list, f_reserved, tvb, 1, 1)
  add(list, f_next_hop, tvb, 2, 1)
  add(list, f_hop_count, tvb, 3, 1)
  if here < 4 then return "" end
  local first, reserved = tvb(0, 1):uint(), tvb(1, 1):uint()
  local next_hop, hop_count = tvb(2, 1):uint(), tvb(3, 1):uint()
  if first >= 0x10 then
    list:add_proto_expert_info(e_list, "private data version " .. math.floor(first / 16) .. " is not known")
  end
  if first % 4 ~= 0 or reserved ~= 0 then list:add_proto_expert_info(e_list, "reserved bits of the private data are set") end
  local room = length / 4 - 1
  if room ~= hop_count then
    list:add_proto_expert_info(e_list, "Hlen leaves room for " .. room .. " hops, the hop count is " .. hop_count)
  end
  if next_hop > hop_count then
    list:add_proto_expert_info(e_list, "next hop is " .. next_hop .. ", the hop count " .. hop_count)
  end

  local shown, at = {}, 4
  for hop = 0, math.min(room, hop_count) - 1 do
    if at + 4 > here then return "" end
    local address = tvb(at, 4)
    local item = list:add(f_hop, address)
    if hop < next_hop then item:append_text(" (tried)") end
    if hop == next_hop then
      item:append_text(" (next)")
      list:add(f_next, address):set_generated(true)
    end
    shown[#shown + 1] = (hop == next_hop and "*" or "") .. tostring(address:ipv4())
    at = at + 4
  end
  local behind = math.min(length, here) - at
  if behind > 0 then list:add(f_behind, tvb(at, behind)) end
  if length <= here then
    local overhead = outer_headers(pinfo) + 4 + length
    list:add(f_overhead, tvb(0, 0), overhead):append_text(" bytes"):set_generated(true)
  end
  local text = #shown == 0 and "no hops" or "hops [" .. table.concat(shown, " ") .. "]"
  list:append_text(": " .. text)
  return text
end

local function call_inner(dissector, tvb, offset, pinfo, tree, text)
  if offset < tvb:captured_len() then
    -- A packet inside that is malformed is marked so by its own dissector; the error that it raises says no more.
    pcall(dissector.call, dissector, tvb(offset):tvb(), pinfo, tree)
  end
  -- Behind the call: the inner dissectors write their own text over what is there.
  pinfo.cols.info:prepend("GUE " .. text .. " | ")
end

local function dissect_variant_1(tvb, pinfo, tree)
  local version = math.floor(tvb(0, 1):uint() / 16)
  local item = tree:add(gue, tvb(0, 0))
  item:append_text(", variant 1: an IP packet behind the UDP header")
  item:add(f_variant, tvb(0, 1)):set_generated(true)
  if version ~= 4 and version ~= 6 then
    item:add_proto_expert_info(e_gue, "IP version " .. version .. " is not known")
  end
  call_inner(version == 4 and ip or version == 6 and ipv6 or data, tvb, 0, pinfo, tree, "variant 1")
end

-- A header that the capture's snap length cut is as it should be; one that the datagram does not hold is not.
local function cut_short(item, tvb, pinfo, least)
  local here = tvb:captured_len()
  if tvb:reported_len() == here then
    item:add_proto_expert_info(e_gue, "cut short: " .. here .. " of at least " .. least .. " bytes are here")
  end
  pinfo.cols.info = "GUE, cut short"
end

function gue.dissector(tvb, pinfo, tree)
  local here = tvb:captured_len()
  if here == 0 then return 0 end
  pinfo.cols.protocol = "GUE"
  pinfo.cols.info = ""
  local first = tvb(0, 1):uint()
  local variant = math.floor(first / 64)
  if variant == 1 then
    dissect_variant_1(tvb, pinfo, tree)
    return tvb:len()
  end

  local is_control, hlen = math.floor(first / 32) % 2 == 1, first % 32
  local length = variant == 0 and 4 + 4 * hlen or 4
  local item = tree:add(gue, tvb(0, math.min(length, here)))
  item:add(f_variant, tvb(0, 1))
  item:add(f_control, tvb(0, 1))
  item:add(f_hlen, tvb(0, 1))
  add(item, f_proto, tvb, 1, 1)
  add(item, f_flags, tvb, 2, 2)
  if here < 4 then
    cut_short(item, tvb, pinfo, 4)
    return tvb:len()
  end
  local proto, flags = tvb(1, 1):uint(), tvb(2, 2):uint()
  if variant ~= 0 then
    item:add_proto_expert_info(e_gue, "variant " .. variant .. " is not known")
    call_inner(data, tvb, 4, pinfo, tree, "variant " .. variant)
    return tvb:len()
  end

  local text = ""
  if is_control then item:add_proto_expert_info(e_gue, "a control message") end
  if flags ~= 0 then item:add_proto_expert_info(e_gue, string.format("flags 0x%04x are not known here", flags)) end
  local behind_header = math.min(length, here) - 4
  if is_control or flags ~= 0 then
    -- Flags have fields of their own in front of the private data, whose lengths only their definitions tell.
    if behind_header > 0 then item:add(f_rest, tvb(4, behind_header)) end
    text = is_control and "control message " .. proto or "with flags"
  elseif hlen == 0 then
    item:add_proto_expert_info(e_gue, "no list of hops: Hlen is 0")
  else
    if here > 4 then text = dissect_list(tvb(4):tvb(), pinfo, item, length - 4, here - 4) end
  end
  if length > here then
    cut_short(item, tvb, pinfo, length)
    return tvb:len()
  end

  local dissector = not is_control and (proto == 4 and ip or proto == 41 and ipv6) or data
  if not is_control and protocols[proto] == nil then
    item:add_proto_expert_info(e_gue, "protocol " .. proto .. " is neither IPv4 nor IPv6")
  end
  call_inner(dissector, tvb, length, pinfo, tree, text)
  return tvb:len()
end

local udp_ports = DissectorTable.get("udp.port")
local registered = ""

local function register()
  local ports = tostring(gue.prefs.ports)
  if ports == registered then return end
  if registered ~= "" then udp_ports:remove(registered, gue) end
  if ports ~= "" then udp_ports:add(ports, gue) end
  registered = ports
end

gue.prefs_changed = register
register()
