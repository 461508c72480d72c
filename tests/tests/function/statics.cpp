// Objects that exist before action_main, one that is made when it is first asked for, and virtual
// functions.
#define ACTION_IMPLEMENTATION
#include "action.h"

namespace {

struct Shape {
    virtual const char *name() const = 0;
};

struct Square : Shape {
    const char *name() const override { return "square"; }
};

volatile int made;

struct Counter {
    int number;
    explicit Counter(int step) : number(made += step) {}
    ~Counter() { made = -1; }
};

Counter first(40);
Counter second(2);
Square square;
const Shape *volatile shape = &square;

Counter &later() {
    static Counter counter(100);
    return counter;
}

}  // namespace

int action_main() {
    bool right = first.number == 40 && second.number == 42;
    right = right && later().number == 142 && &later() == &later() && made == 142;
    action_put_text(right ? "made before main: " : "not made: ");
    action_put_text(shape->name());
    return 0;
}
