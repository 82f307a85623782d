// The decimals of floats by trying them, shortest first. Pure.
#pragma once

#include <string>

namespace tenfold::oracle {

// Of the shortest decimals that read back as the number, the nearest to it; with an exponent, which has a sign and two
// digits or more, below 1e-6 and from 1e21 on. "no number" for an infinity and what is none.
std::string FloatText(float number);
std::string FloatText(double number);

}  // namespace tenfold::oracle
