// Lua, linked statically, running a script that uses its library.
#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>
#include <lua5.4/lualib.h>
#include <stdio.h>

static const char SCRIPT[] =
    "local words = {}\n"
    "for line in io.lines() do for word in line:gmatch('%w+') do words[#words + 1] = word end end\n"
    "table.sort(words)\n"
    "print(table.concat(words, ','), #words)\n"
    "print(string.format('%5.2f %q %x', 2 / 3, 'a\\nb', 255), 7 // 2, 2^53, 1 << 40)\n"
    "print(pcall(error, 'told', 0))\n"
    "print(select(2, pcall(function() local x; return x.y end)))\n"
    "local maker = coroutine.wrap(function() for n = 1, 3 do coroutine.yield(n * n) end end)\n"
    "print(maker(), maker(), maker())\n"
    "local file = assert(io.open('/tmp/lua-note', 'w'))\n"
    "file:write('kept\\n', 42, '\\n') file:close()\n"
    "for line in io.lines('/tmp/lua-note') do io.write(line, ';') end print()\n"
    "print(os.remove('/tmp/lua-note'), io.open('/tmp/lua-note'))\n"
    "local closed <close> = setmetatable({}, {__close = function() print('closed') end})\n"
    "print(os.date('!%Y-%m-%d', 86400), utf8.len('gr\\u{fc}\\u{df}e'), math.type(3.0))\n"
    "local list = {} for n = 1, 100000 do list[n] = {n} end list = nil collectgarbage()\n"
    "print(collectgarbage('count') < 2000, ('x'):rep(3, '-'), #arg)\n";

int main(int count, char **arguments) {
    lua_State *state = luaL_newstate();
    luaL_openlibs(state);
    lua_createtable(state, count, 0);
    for (int at = 1; at < count; ++at) {
        lua_pushstring(state, arguments[at]);
        lua_rawseti(state, -2, at);
    }
    lua_setglobal(state, "arg");
    int failed = luaL_dostring(state, SCRIPT);
    if (failed) printf("%s\n", lua_tostring(state, -1));
    lua_close(state);
    return failed;
}
