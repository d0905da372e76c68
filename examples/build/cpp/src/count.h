#pragma once

#include <map>
#include <string>
#include <vector>

/* How often each word comes. Throws std::invalid_argument where there is none. */
std::map<std::string, int> count(const std::vector<std::string> &words);
