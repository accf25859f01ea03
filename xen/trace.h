#include "trace/trace-hw_xen_pulsar.h"
