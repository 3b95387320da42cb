# SPDX-License-Identifier: GPL-2.0
# The picture of a bench. Given: dat, nodes, seconds, kernel, names (with | between),
# conditions (with blanks between).
set encoding utf8
array color[8] = ['#d55e00', '#e69f00', '#0072b2', '#56b4e9', '#009e73', '#cc79a7', '#7f7f7f', \
	'#332288']
n = 1
do for [i=1:strlen(names)] { if (names[i:i] eq '|') { n = n + 1 } }
array name[n]
rest = names
do for [i=1:n-1] { at = strstrt(rest, '|'); name[i] = rest[1:at-1]; rest = rest[at+1:*] }
name[n] = rest
m = words(conditions)

set multiplot
set border 3 lc rgb '#555555'
set tics nomirror textcolor rgb '#333333'
set grid lc rgb '#e4e4e4' lt 1
set label 1 "How far apart are the clocks?" at screen 0.07, 0.968 font ',24' textcolor rgb '#111111'
set label 2 sprintf("true spread of %d virtual machines, Linux %s, all alternations together", \
	nodes, kernel) at screen 0.07, 0.935 textcolor rgb '#555555'
do for [c=1:m] {
	first = 2 * n * (c - 1)
	set tmargin at screen 0.90 - (c - 1) * 0.86 / m
	set bmargin at screen 0.90 - c * 0.86 / m + 0.085

	# left: the course of a slot
	set lmargin at screen 0.07
	set rmargin at screen 0.51
	set label 3 word(conditions, c) at graph 0, graph 1.04 font ',17' textcolor rgb '#111111'
	unset logscale
	set logscale y
	set xrange [0:seconds]
	set yrange [1:1e6]
	set ytics ("1 µs" 1, "10 µs" 10, "100 µs" 100, "1 ms" 1e3, "10 ms" 1e4, "100 ms" 1e5, "1 s" 1e6)
	set xtics autofreq
	set format x "%g s"
	unset key
	if (c == 1) {
		set key at screen 0.5, 0.02 center bottom horizontal maxrows 1 samplen 2 noenhanced \
			textcolor rgb '#333333'
	}
	plot for [i=1:n] dat index first + 2 * (i - 1) using 1:2 with lines lw (i == n ? 3 : 1.8) \
		lc rgb color[(i - 1) % 8 + 1] title name[i]
	unset label 1; unset label 2

	# right: how often the second half is below
	set lmargin at screen 0.575
	set rmargin at screen 0.975
	set label 3 "share of the second half that is below" at graph 0, graph 1.04 font ',14' \
		textcolor rgb '#555555'
	unset logscale
	set logscale x
	set xrange [1:1e5]
	set yrange [0:1]
	set xtics ("1 µs" 1, "10 µs" 10, "100 µs" 100, "1 ms" 1e3, "10 ms" 1e4, "100 ms" 1e5)
	set ytics ("0" 0, "25 %%" 0.25, "50 %%" 0.5, "75 %%" 0.75, "99 %%" 0.99)
	unset key
	plot for [i=1:n] dat index first + 2 * (i - 1) + 1 using 1:(1) smooth cnormal with lines \
		lw (i == n ? 3 : 1.8) lc rgb color[(i - 1) % 8 + 1]
}
unset multiplot
