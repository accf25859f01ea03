#include "trace/trace-ui_pulsar.h"
