#include "trace/trace-hw_pulsar.h"
