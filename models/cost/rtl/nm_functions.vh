// Constant functions for widths; included inside modules.
function integer clog2;  // smallest n with 2^n >= value
  input integer value;
  integer power;
  begin
    clog2 = 0;
    for (power = 1; power < value; power = power * 2) clog2 = clog2 + 1;
  end
endfunction

function integer largest;
  input integer left;
  input integer right;
  largest = (left > right) ? left : right;
endfunction

function integer smallest;
  input integer left;
  input integer right;
  smallest = (left < right) ? left : right;
endfunction

function integer signed_bits;  // bits of a two's complement number that holds low .. high
  input integer low;
  input integer high;
  signed_bits = 1 + clog2(1 + largest(high, -1 - low));
endfunction
