// Drives a block with the operations of a vector file, one a cycle, and compares every result and the cycle in which it comes.
//
// Vector file: a header "latency N", then one line per cycle:
//   -                       nothing
//   W SLOT KEY              an entry is written
//   E SLOT                  a slot is emptied
//   L KEY HIT SLOT          a look-up, and what it must find (slot 0 if nothing)
// KEY is 96 hexadecimal digits: the 48 bytes of the key, byte 0 first.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include "verilated.h"
#include BLOCK_HEADER

struct Expected {
    uint64_t cycle;
    bool hit;
    uint32_t slot;
};

template <typename Wide>
static void put_key(Wide& wide, const std::string& text) {
    for (int word = 0; word < 12; word++) {
        uint32_t value = 0;
        for (int byte = 0; byte < 4; byte++) {
            auto digits = text.substr(8 * word + 2 * byte, 2);
            value |= uint32_t(std::stoul(digits, nullptr, 16)) << (8 * byte);
        }
        wide[word] = value;
    }
}

int main(int argc, char** argv) {
    if (argc < 2) {
        std::cerr << "usage: check VECTORS\n";
        return 2;
    }
    std::ifstream file(argv[1]);
    std::string word;
    uint64_t latency = 0;
    if (!(file >> word >> latency) || word != "latency") {
        std::cerr << argv[1] << ": no header\n";
        return 2;
    }
    BLOCK top;
    auto tick = [&] {
        top.clk = 0;
        top.eval();
        top.clk = 1;
        top.eval();
    };
    top.rst = 1;
    for (int i = 0; i < 16; i++) tick();
    top.rst = 0;
    std::deque<Expected> expected;
    uint64_t cycle = 0, lookups = 0, hits = 0, writes = 0, wrong = 0;
    // The results that are due after this many cycles.
    auto step = [&] {
        tick();
        cycle++;
        bool due = !expected.empty() && expected.front().cycle == cycle;
        bool right = bool(top.result_valid) == due;
        if (due) {
            auto want = expected.front();
            expected.pop_front();
            right = right && bool(top.result_hit) == want.hit && (!want.hit || top.result_slot == want.slot);
        }
        if (!right && ++wrong <= 5) std::cerr << "cycle " << cycle << ": not the result expected\n";
    };
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
        std::istringstream in(line);
        std::string kind, key;
        uint32_t slot = 0;
        int hit = 0;
        in >> kind;
        top.lookup_valid = 0;
        top.write_valid = 0;
        if (kind == "W") {
            in >> slot >> key;
            top.write_valid = 1;
            top.write_used = 1;
            top.write_slot = slot;
            put_key(top.write_key, key);
            writes++;
        } else if (kind == "E") {
            in >> slot;
            top.write_valid = 1;
            top.write_used = 0;
            top.write_slot = slot;
            writes++;
        } else if (kind == "L") {
            in >> key >> hit >> slot;
            top.lookup_valid = 1;
            put_key(top.lookup_key, key);
            expected.push_back({cycle + latency, hit != 0, slot});
            lookups++;
            hits += hit;
        }
        step();
    }
    top.lookup_valid = 0;
    top.write_valid = 0;
    for (uint64_t i = 0; i < latency + 2; i++) step();
    if (!expected.empty()) wrong += expected.size();
    std::cout << lookups << " look-ups (" << hits << " hits) and " << writes << " writes in " << cycle << " cycles, " << wrong
              << " wrong\n";
    return wrong == 0 ? 0 : 1;
}
