# SPDX-License-Identifier: GPL-2.0
# The picture of a demonstration. Given: csv, nodes, seconds, kernel, converged_s,
# spread_us_p50, spread_us_p99; where the master failed: kill_s and kill, its text; joined_s
# if it came back.
set datafile separator ','
set encoding utf8
array color[8] = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#7f7f7f', '#332288']

set multiplot
set lmargin at screen 0.085
set rmargin at screen 0.965
set xrange [-3:seconds]
set border 3 lc rgb '#555555'
set tics nomirror textcolor rgb '#333333'
set grid lc rgb '#e4e4e4' lt 1
set arrow 1 from 0, graph 0 to 0, graph 1 nohead lc rgb '#999999' dt 3
set arrow 2 from converged_s, graph 0 to converged_s, graph 1 nohead lc rgb '#009e73' dt 3 lw 1.5
if (exists("kill")) set arrow 4 from kill_s, graph 0 to kill_s, graph 1 nohead lc rgb '#cc2222' lw 1.5
if (exists("joined_s")) set arrow 5 from joined_s, graph 0 to joined_s, graph 1 nohead lc rgb '#cc2222' dt 3 lw 1.5

title = exists("kill") ? "%d clocks become one time, and lose their master" : "%d clocks become one time"
set label 1 sprintf(title, nodes) at screen 0.085, 0.972 font ',24' textcolor rgb '#111111'
set label 2 sprintf("true clocks of %d virtual machines, Linux %s; below 1 ms after %.1f s, then p50 %.3g µs, p99 %.3g µs", \
	nodes, kernel, converged_s, spread_us_p50, spread_us_p99) at screen 0.085, 0.944 textcolor rgb '#555555'

# 1: spread, logarithmic
set tmargin at screen 0.90
set bmargin at screen 0.645
set logscale y
set yrange [0.1:2e7]
set ytics ("100 ns" 0.1, "1 µs" 1, "10 µs" 10, "100 µs" 100, "1 ms" 1e3, "10 ms" 1e4, "100 ms" 1e5, "1 s" 1e6, "10 s" 1e7)
set arrow 3 from -3, 1e3 to seconds, 1e3 nohead lc rgb '#d55e00' dt 2
set label 3 "promised: below 1 ms" at graph 0.99, first 2e3 right textcolor rgb '#d55e00' font ',12'
set label 4 "first round" at 0, graph 1.05 left offset character -0.4, 0 textcolor rgb '#777777' font ',12'
set label 5 "Spread: from the clock furthest behind to the one furthest ahead" at graph 0.99, graph 0.93 right font ',17' textcolor rgb '#111111'
set label 6 sprintf(" below after %.1f s", converged_s) at converged_s, 10 left textcolor rgb '#009e73' font ',12'
if (exists("kill")) set label 7 " ".kill at kill_s, 1e5 left textcolor rgb '#cc2222' font ',12'
if (exists("joined_s")) set label 8 " it is back" at joined_s, 1e4 left textcolor rgb '#cc2222' font ',12'
unset key
plot csv skip 1 using 1:2 with lines lw 2 lc rgb '#222222'
unset label 1; unset label 2; unset label 3; unset label 4; unset label 6; unset label 7; unset label 8; unset arrow 3
unset logscale y

# 2: offsets, linear around zero and logarithmic beyond
set tmargin at screen 0.60
set bmargin at screen 0.345
set nonlinear y via asinh(y / 5) inverse 5 * sinh(y)
set yrange [-1e7:1e7]
set ytics ("−1 s" -1e6, "−10 ms" -1e4, "−100 µs" -100, "0" 0, "100 µs" 100, "10 ms" 1e4, "1 s" 1e6)
set label 5 "Offset of each clock from the group's mean"
set key at graph 0.99, graph 0.86 right top horizontal maxrows 1 samplen 1.5 textcolor rgb '#333333'
plot for [i=1:nodes] csv skip 1 using 1:(column(2 + i)) with lines lw 2 lc rgb color[(i - 1) % 8 + 1] title sprintf('node%d', i)
unset nonlinear y

# 3: the same, magnified
set tmargin at screen 0.30
set bmargin at screen 0.055
set autoscale y
stats csv skip 1 using ($1 > converged_s + 5 ? $2 : NaN) nooutput
limit = 1.15 * (STATS_records ? STATS_max : 100)
set yrange [-limit:limit]
set ytics autofreq
set format y "%g µs"
set format x "%g s"
set label 5 "The same, magnified"
unset key
plot for [i=1:nodes] csv skip 1 using 1:(column(2 + i)) with lines lw 1.6 lc rgb color[(i - 1) % 8 + 1]
unset multiplot
