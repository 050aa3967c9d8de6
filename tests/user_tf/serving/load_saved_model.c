/* Loads a SavedModel without Python and runs one signature, as TensorFlow Serving's loader does.
 *
 *   load_saved_model SAVED_MODEL FEEDS OUTPUT_OPERATION OUTPUT_INDEX
 *
 * FEEDS is a text file, one tensor after another:
 *   operation index type rank dim_0 ... dim_{rank-1}     type: string, int64 or float
 * followed by one value a line, row by row. Prints the float output, one value a line.
 * Exit status: 0 scores printed, 1 anything else, with the reason on standard error.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

#define MAX_FEEDS 16
#define MAX_RANK 8
#define MAX_LINE 65536

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void check(TF_Status *status, const char *what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

static TF_Output find(TF_Graph *graph, const char *operation, int index) {
  TF_Output output = {TF_GraphOperationByName(graph, operation), index};
  if (output.oper == NULL) fail("no such operation in the graph", operation);
  return output;
}

static void read_line(FILE *file, char *line) {
  if (fgets(line, MAX_LINE, file) == NULL) fail("FEEDS", "ends too early");
  size_t length = strlen(line);
  if (length == 0 || line[length - 1] != '\n') fail("FEEDS", "a line is too long");
  line[length - 1] = '\0';
}

static TF_Tensor *read_tensor(FILE *file, const char *type, int rank, const int64_t *dims) {
  int64_t count = 1;
  for (int axis = 0; axis < rank; axis++) count *= dims[axis];
  int is_string = strcmp(type, "string") == 0, is_int = strcmp(type, "int64") == 0;
  if (!is_string && !is_int && strcmp(type, "float") != 0) fail("unknown type", type);
  size_t width = is_string ? sizeof(TF_TString) : is_int ? sizeof(int64_t) : sizeof(float);
  TF_DataType code = is_string ? TF_STRING : is_int ? TF_INT64 : TF_FLOAT;
  TF_Tensor *tensor = TF_AllocateTensor(code, dims, rank, (size_t)count * width);
  if (tensor == NULL) fail("FEEDS", "a tensor could not be allocated");
  static char line[MAX_LINE];
  for (int64_t i = 0; i < count; i++) {
    read_line(file, line);
    if (is_string) {
      TF_TString *value = (TF_TString *)TF_TensorData(tensor) + i;
      TF_StringInit(value);
      TF_StringCopy(value, line, strlen(line));
    } else if (is_int) {
      ((int64_t *)TF_TensorData(tensor))[i] = strtoll(line, NULL, 10);
    } else {
      ((float *)TF_TensorData(tensor))[i] = strtof(line, NULL);
    }
  }
  return tensor;
}

static int read_feeds(const char *path, TF_Graph *graph, TF_Output *feeds, TF_Tensor **values) {
  FILE *file = fopen(path, "r");
  if (file == NULL) fail("cannot open", path);
  static char line[MAX_LINE];
  int count = 0;
  while (fgets(line, MAX_LINE, file) != NULL) {
    char operation[256], type[16];
    int index, rank, used;
    int64_t dims[MAX_RANK];
    if (sscanf(line, "%255s %d %15s %d%n", operation, &index, type, &rank, &used) != 4 ||
        rank > MAX_RANK || count == MAX_FEEDS)
      fail("FEEDS: not a tensor's first line", line);
    char *rest = line + used;
    for (int axis = 0; axis < rank; axis++) dims[axis] = strtoll(rest, &rest, 10);
    feeds[count] = find(graph, operation, index);
    values[count++] = read_tensor(file, type, rank, dims);
  }
  fclose(file);
  return count;
}

int main(int argc, char **argv) {
  if (argc != 5) fail("usage", "load_saved_model SAVED_MODEL FEEDS OUTPUT_OPERATION OUTPUT_INDEX");
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status, "loading the SavedModel");

  TF_Output feeds[MAX_FEEDS];
  TF_Tensor *values[MAX_FEEDS], *scores = NULL;
  int count = read_feeds(argv[2], graph, feeds, values);
  TF_Output output = find(graph, argv[3], atoi(argv[4]));
  TF_SessionRun(session, NULL, feeds, values, count, &output, &scores, 1, NULL, 0, NULL, status);
  check(status, "running the signature");
  if (TF_TensorType(scores) != TF_FLOAT) fail("the output", "is not float32");

  const float *data = TF_TensorData(scores);
  for (int64_t i = 0; i < TF_TensorElementCount(scores); i++) printf("%.9g\n", data[i]);

  for (int i = 0; i < count; i++) TF_DeleteTensor(values[i]);
  TF_DeleteTensor(scores);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
