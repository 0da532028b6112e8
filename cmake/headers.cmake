# SPDX-License-Identifier: BSD-3-Clause
# Reading public headers line by line, for the checks.

# The lines as a list. Brackets and semicolons would split or join list elements: they become other characters.
function(read_lines path out)
  file(READ "${path}" text)
  string(REGEX REPLACE "[][;]" "|" text "${text}")
  string(REPLACE "\\" "/" text "${text}")
  string(REPLACE "\n" ";" text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# The function that a line declares, "" if none: a declaration starts in the first column and names it there.
function(function_of_line line out)
  set(name "")
  if(NOT line MATCHES "^(typedef|static|extern) " AND line MATCHES "^[a-z][a-zA-Z0-9_ *]*[ *](parloom_[a-z0-9_]+)[(]")
    set(name "${CMAKE_MATCH_1}")
  endif()
  set(${out} "${name}" PARENT_SCOPE)
endfunction()

function(declared_functions headers out)
  set(names "")
  foreach(header ${headers})
    read_lines("${header}" lines)
    foreach(line IN LISTS lines)
      function_of_line("${line}" name)
      if(name)
        list(APPEND names ${name})
      endif()
    endforeach()
  endforeach()
  set(${out} "${names}" PARENT_SCOPE)
endfunction()
