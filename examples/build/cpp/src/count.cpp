#include "count.h"

#include <stdexcept>

std::map<std::string, int> count(const std::vector<std::string> &words)
{
    std::map<std::string, int> counts;

    if (words.empty())
        throw std::invalid_argument("no words to count");
    for (const auto &word : words)
        counts[word]++;
    return counts;
}
