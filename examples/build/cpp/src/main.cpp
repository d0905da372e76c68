#include "count.h"

#include <exception>
#include <iostream>

int main(int argc, char **argv)
{
    try {
        for (const auto &[word, times] : count({argv + 1, argv + argc}))
            std::cout << word << ' ' << times << '\n';
    } catch (const std::exception &error) {
        std::cerr << "words: " << error.what() << '\n';
        return 2;
    }
}
