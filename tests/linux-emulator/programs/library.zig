//! Zig's library: allocators, maps, errors, sorting, threads, formats.
const std = @import("std");

/// To standard output, without a buffer.
fn print(comptime format: []const u8, values: anytype) void {
    var buffer: [256]u8 = undefined;
    const text = std.fmt.bufPrint(&buffer, format, values) catch return;
    _ = std.os.linux.write(1, text.ptr, text.len);
}

const Failure = error{Told};

fn fails(whether: bool) Failure!u32 {
    if (whether) return error.Told;
    return 7;
}

fn add(sum: *std.atomic.Value(u64), count: u64) void {
    for (0..count) |number| _ = sum.fetchAdd(number, .seq_cst);
}

pub fn main() !void {
    const allocator = std.heap.page_allocator;
    var words = std.StringHashMap(u32).init(allocator);
    defer words.deinit();
    for ([_][]const u8{ "one", "two", "one", "three", "one" }) |word| {
        const entry = try words.getOrPut(word);
        if (!entry.found_existing) entry.value_ptr.* = 0;
        entry.value_ptr.* += 1;
    }
    print("{d} words, one {d} times\n", .{ words.count(), words.get("one").? });

    var numbers: [1000]u32 = undefined;
    for (&numbers, 0..) |*number, at| number.* = @intCast((at * 7919) % 1009);
    std.mem.sort(u32, &numbers, {}, std.sort.asc(u32));
    print("{d} to {d}\n", .{ numbers[0], numbers[999] });

    print("{!} {!}\n", .{ fails(false), fails(true) });
    print("{d:.4} {x} {s}\n", .{ @as(f64, 2.0) / 3.0, 255, "text" });

    var sum = std.atomic.Value(u64).init(0);
    var threads: [4]std.Thread = undefined;
    for (&threads) |*thread| thread.* = try std.Thread.spawn(.{}, add, .{ &sum, 1000 });
    for (threads) |thread| thread.join();
    print("{d} by threads\n", .{sum.load(.seq_cst)});

    var arena = std.heap.ArenaAllocator.init(allocator);
    defer arena.deinit();
    var total: usize = 0;
    for (1..200) |len| total += (try arena.allocator().alloc(u8, len * 100)).len;
    print("{d} bytes\n", .{total});
    // Ends the program, with a trace on standard error.
    const divisor: u32 = @intCast(total - 1990000);
    print("{d}\n", .{@as(u32, 5) / divisor});
}
