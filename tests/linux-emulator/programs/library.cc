// The library of C++: exceptions through frames and threads, streams, containers, files, time.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

struct Noisy {
    const char *name;
    ~Noisy() { std::cout << "gone: " << name << "\n"; }
};

static int deep(int depth) {
    Noisy noisy{depth % 2 ? "odd" : "even"};
    if (depth == 0) throw std::out_of_range("at the bottom");
    return deep(depth - 1) + 1;
}

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
};
struct Square : Shape {
    double side = 3;
    double area() const override { return side * side; }
};
struct Circle : Shape {
    double area() const override { return 3.14159; }
};

static thread_local int own = 7;

int main() {
    try {
        deep(3);
    } catch (const std::exception &error) {
        std::cout << "caught: " << error.what() << "\n";
    }
    try {
        std::vector<int>().at(4);
    } catch (const std::logic_error &error) {
        std::cout << "logic: " << error.what() << "\n";
    }
    std::unique_ptr<Shape> shape = std::make_unique<Square>();
    std::cout << "cast " << (dynamic_cast<Circle *>(shape.get()) == nullptr) << " area "
              << shape->area() << "\n";

    std::string line, word;
    std::map<std::string, int> words;
    while (std::getline(std::cin, line))
        for (std::istringstream parts(line); parts >> word;) ++words[word];
    for (const auto &[text, count] : words) std::cout << std::quoted(text) << " " << count << "\n";

    std::cout << std::fixed << std::setprecision(3) << 2.0 / 3 << " " << std::scientific << 12345.678
              << " " << std::hex << std::showbase << 255 << std::dec << " " << std::setw(8)
              << std::setfill('*') << 42 << "\n";
    double number;
    std::istringstream("6.5e3") >> number;
    std::cout << std::defaultfloat << number << "\n";

    std::atomic<int> total{0};
    std::vector<std::thread> threads;
    for (int at = 0; at < 8; ++at)
        threads.emplace_back([&, at] {
            own += at;
            for (int round = 0; round < 1000; ++round) total += own - 7;
        });
    for (auto &thread : threads) thread.join();
    std::cout << "total " << total << " own " << own << "\n";
    auto failing = std::async(std::launch::async, []() -> int { throw std::runtime_error("there"); });
    try {
        failing.get();
    } catch (const std::runtime_error &error) {
        std::cout << "from a thread: " << error.what() << "\n";
    }
    std::mutex lock;
    std::condition_variable changed;
    int stage = 0;
    std::thread partner([&] {
        std::unique_lock held(lock);
        changed.wait(held, [&] { return stage == 1; });
        stage = 2;
        changed.notify_one();
    });
    {
        std::unique_lock held(lock);
        stage = 1;
        changed.notify_one();
        changed.wait(held, [&] { return stage == 2; });
    }
    partner.join();
    auto before = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    auto slept = std::chrono::steady_clock::now() - before;
    std::cout << "slept " << (slept >= std::chrono::milliseconds(3)) << "\n";

    namespace fs = std::filesystem;
    fs::path folder = fs::temp_directory_path() / ("library-" + std::to_string(own));
    fs::remove_all(folder);
    fs::create_directories(folder / "a" / "b");
    std::ofstream(folder / "a" / "file") << "one\ntwo\n";
    std::vector<std::string> names;
    for (const auto &entry : fs::recursive_directory_iterator(folder))
        names.push_back(fs::relative(entry.path(), folder).string());
    std::sort(names.begin(), names.end());
    for (const auto &name : names) std::cout << name << " ";
    std::cout << fs::file_size(folder / "a" / "file") << " removed " << fs::remove_all(folder) << "\n";
    std::error_code code;
    (void)fs::file_size(folder, code);
    std::cout << code.message() << "\n";

    std::smatch match;
    std::string text = "key=value; other=42";
    std::cout << std::regex_search(text, match, std::regex("(\\w+)=(\\d+)")) << " " << match[1] << "\n";
    std::variant<int, std::string> either = std::string("text");
    std::cout << std::visit([](const auto &held) { return sizeof held > 4; }, either) << "\n";
    std::unordered_map<int, std::function<int(int)>> table{{1, [](int x) { return x * x; }}};
    std::cout << table.at(1)(12) << " at " << std::hash<std::string>()("x") % 2 << "\n";
    std::cout << std::flush;
    throw 42;
}
