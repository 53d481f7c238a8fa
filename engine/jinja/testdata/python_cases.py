"""The templates that make_python.py renders: EXPRESSIONS are printed one by one, TEMPLATES are whole."""

VARS = {
    "yes": True, "no": False, "none_": None, "zero": 0, "one": 1, "neg": -7, "big": 123456789012345678901234567890, "pi": 3.14159, "half": 0.5,
    "s": "Hello World", "empty": "", "uni": "\u00c9t\u00e9 \u4e2d\u6587 \U0001f469\u200d\U0001f680 \u00df", "quo": "it's \"q\" \\ \n\t\r\x00\x7f\u00a0\u200b\u00e9\U000e0001",
    "html": "<b>&'\"</b>", "lines": "a\nb\r\nc\n\nd", "pad": " \t x y \n",
    "nums": [3, 1, 2], "floats": [1.0, 2.5, -0.0, 1e20, 1e-7, 1e16, 123456789.125], "mixed": [1, "a", None, True, 2.0, [1], {"k": "v"}],
    "nest": {"a": {"b": [{"c": "deep"}, {"c": 2}]}, "items": "shadow", "get": 5, "x y": 1},
    "people": [{"name": "bob", "age": 30, "tags": ["x"]}, {"name": "Al", "age": 25, "tags": []}, {"name": "cy", "age": 30}],
    "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U1"}, {"role": "assistant", "content": "A1", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
                 {"role": "tool", "content": [{"type": "text", "text": "t"}]}, {"role": "user", "content": "U2"}],
    "tree": [{"n": 1, "kids": [{"n": 2, "kids": [{"n": 3, "kids": []}]}, {"n": 4, "kids": []}]}], "fmt": "%s-%d",
}

EXPRESSIONS = r'''
1 + 2 * 3
7 // 2, -7 // 2, 7 // -2, -7 // -2
7 % 3, -7 % 3, 7 % -3, -7 % -3
7.5 // 2, -7.5 // 2, 7.5 % 2, -7.5 % 2, 7.5 % -2, -0.5 // 1, 5 % -5.0, 0.0 // -3
1 / 2, 4 / 2, -1 / 3, 10 / 5.0, 1 / 3
2 ** 10, 2 ** -1, 2 ** 0.5, (-2) ** 3, -2 ** 2, 2 ** 3 ** 2, 0 ** 0, 10 ** 20, 2.0 ** 3
(-8) ** 3.0
1e308 * 10, -1e308 * 10
1e308 ** 2
10 ** 400 / 3
10 ** 400 * 1.0
0 ** -1
0.0 ** -1
1 / 0
1.0 / 0
1 // 0
1 % 0
1.5 // 0
1.5 % 0
9223372036854775807 + 1, -9223372036854775808 - 1, 9223372036854775807 * 9223372036854775807
big + 1, big * big, big // 7, big % 7, -big // 7, -big % 7, big / 3, big - big
big == 123456789012345678901234567890.0, big > 1e10, big < 1e40, 9007199254740993 == 9007199254740992.0, 9007199254740993 > 9007199254740992.0
1e1000, -1e1000 == -1e1000, 1e1000 > big
true + true, true * 3, true / 2, true == 1, true == 1.0, false == 0, true < 2, -true, +true, +false, not 0
1 == 1.0, 1 == '1', '1' == '1', none == false, none == none, [] == (), [1] == [1.0], (1,) == (1,), {} == {}, {'a': 1} == {'a': 1.0}
1 != 2, 'a' != 'b', [1] != [2], none != 0
1 < 2 < 3, 1 < 3 < 2, 1 == 1 != 2, 3 > 2 >= 2, 1 < 2 == true
'a' < 'b', 'B' < 'a', 'a' < 'ab', '' < 'a', 'é' > 'z', '\U0001f600' > '\uffff'
[1, 2] < [1, 3], [1] < [1, 0], (1, 2) < (1, 2, 0), [] < [0], [1, 'a'] < [2, 3], ['a'] < ['b']
1 < 'a'
none < 1
[] < ()
{} < {}
[1] < ['a']
'a' >= 1
none >= none
1 in [1, 2], 1.0 in [1], true in [1], '1' in [1], none in [none], [1] in [[1]], 3 not in [1, 2]
'a' in 'cat', '' in 'x', 'x' not in 'y', 'a' in {'a': 1}, 'b' in {'a': 1}, 1 in {1: 2}, 1.0 in {1: 2}
1 in 'abc'
1 in 5
'a' in none
undefinedx in 'abc'
'a' in undefinedx
[1] in {}
3 in range(5), 5 in range(5), 2 in range(0, 10, 2), 3 in range(0, 10, 2), 'a' in range(3)
'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1, 'x'] ~ undefinedx
'a' + 'b', [1] + [2], (1,) + (2,), 'ab' * 2, 2 * 'ab', [1] * 2, 'a' * 0, 'a' * -1, (1, 2) * 2, [] * 5, true * 'x'
'a' + 1
1 + 'a'
'a' + none
none + 'a'
[1] + (2,)
(1,) + [2]
[1] + 'a'
'a' - 'b'
'a' * 'b'
'a' * 1.5
[1] * [2]
none * 2
{} + {}
'a' / 2
'a' // 2
[] - []
'a' ** 2
none ** 2
-'a'
+'a'
-none
+[]
-undefinedx
'%s' % 1, '%s %s' % (1, 'a'), '%d' % 3.9, '%05d|%-5d|%+d|% d' % (42, 42, 42, 42), '%x %X %o %#x %#o' % (255, 255, 8, 255, 8), '%c%c' % (65, 'b')
'%.2f %e %g %G' % (3.14159, 12345.678, 0.00001, 1e20), '%5.1f|%-8.3f|%08.2f' % (2.25, 2.5, -2.5), '%%' % (), '%r %s' % ('a', 'a'), '%(a)s %(b)d' % {'a': 1, 'b': 2}
'%s' % none, '%s' % [1, 2], '%s' % {'a': 1}, '%s' % undefinedx, '%10s|%-10s|%.2s' % ('ab', 'cd', 'efgh'), '%*d' % (5, 42), '%.*f' % (2, 3.14159), '%i' % true
'%#.3g %g %g %g %g' % (1.0, 100000, 1000000, 0.0001, 123456789), '%.0f %.0f %.0f' % (0.5, 1.5, 2.5), '%#.0f' % 1, '%.10g' % 0.1, '%+.1e' % 12345, '%.3d' % 5, '%x' % -255
'%s'
'%d' % 'a'
'%d' % none
'%s %s' % 1
'%s' % (1, 2)
'a' % 1
'a' % []
'a' % {}
'%z' % 1
'%' % 1
'%(a)s' % 1
'%(a)s' % {}
'%x' % 1.5
'%c' % 'ab'
'%f' % 'a'
1, 2
(1,)
()
(1)
[1, 2, [3, [4]]], {'a': {'b': [1, (2, 3)]}}, {}, [], {1: 'a', 'b': none, none: true, 1.5: 2, (1, 2): 3}
{1: 'a', true: 'b', 1.0: 'c'}, {'a': 1, 'a': 2}
{[1]: 2}
{{}: 2}
[1, 2,], (1, 2,), {'a': 1,}
'a' 'b' "c"
'it\'s', "say \"hi\"", 'back\\slash', 'tab\there', 'nl\nx', '\x41\u00e9\U0001F600\101\0', '\q\z', 'é\é', '\a\b\f\v' | tojson
'line\
joined'
1_000, 0x_ff, 0b101, 0o17, 0xFF, 00, 1_0.5_0, 1e3, 1E-2, 1.5e+3, 2_0e1_0
1.0, 1.5, 100.0, 1e15, 1e16, 1.5e16, 123456789012345680.0, 0.0001, 0.00001, 0.1 + 0.2, -0.0, 1e22, 1e-5, 5e-324, 1.7976931348623157e308
floats
mixed
quo
quo, uni
[quo]
'\''
["'"]
['"', "'\"", 'a\\b', '\xad\u0378\u2028\ue000', 'é中', '\x80']
html
nest
people
none, true, false, None, True, False
none_ is none, none is none, 1 is none, undefinedx is none
undefinedx
[undefinedx]
undefinedx == undefinedy, undefinedx == none, undefinedx != 1, not undefinedx, undefinedx or 'd', undefinedx and 1
undefinedx.a
undefinedx['a']
undefinedx[0]
undefinedx()
undefinedx.a.b
undefinedx + 1
1 + undefinedx
'a' + undefinedx
undefinedx < 1
1 < undefinedx
undefinedx * 2
undefinedx[1:]
undefinedx | length
undefinedx | int
undefinedx | float
undefinedx | abs
undefinedx | round
undefinedx | list, undefinedx | join(','), undefinedx | string, undefinedx | upper, undefinedx | trim, undefinedx | default('d'), undefinedx | d
undefinedx | first
undefinedx | last
undefinedx | sort, undefinedx | sum, undefinedx | unique | list, undefinedx | map('upper') | list, undefinedx | select | list, undefinedx | items | list
undefinedx | reverse
undefinedx | reverse | list
undefinedx | min
undefinedx | tojson
undefinedx | dictsort
undefinedx | replace('a', 'b'), undefinedx | title, undefinedx | capitalize, undefinedx | lower, undefinedx | escape, undefinedx | wordcount, undefinedx | safe
undefinedx | indent
undefinedx | batch(2) | list, undefinedx | groupby('a')
undefinedx | format
undefinedx is defined, undefinedx is undefined, s is defined, s is undefined, nest.zzz is defined, nest.a.zzz is defined
undefinedx.a is defined
undefinedx is string, undefinedx is mapping, undefinedx is sequence, undefinedx is iterable, undefinedx is number, undefinedx is callable, undefinedx is true, undefinedx is false
undefinedx is odd
undefinedx is eq(undefinedy), undefinedx is sameas(none)
s.zzz
s.zzz.y
nest.zzz.y
nest['zzz']['y']
nums[10].x
nums[10]
none_.x
none_.x.y
none_['x'].y
one.x.y
s['zzz'] + 'a'
nest.a.b[5].c
nums['a'].b
nums[1.5].b
yes.foo.bar
s.foo(1)
nest.foo()
nums.append(1)
nums.append
nums.append is defined, nums.pop is defined, nums.count is defined
nest.pop('a')
nest.update({})
nest.setdefault
nums.sort()
nums.reverse()
nums.insert(0, 1)
nums.extend([1])
nums.clear()
nums.remove(1)
nest.clear()
nest.popitem()
s.__class__
s.__class__.x
s.__init__ is defined
nums.__len__()
nest.__contains__('a')
s['__class__'].mro()
''._foo
1()
none()
'a'()
s.upper()()
nums()
nums[0], nums[-1], nums[true], nums[-3], s[0], s[-1], uni[0], uni[4], uni[-1], nest['a'], nest.a, nest['x y'], nest.items, nest['items'], nest['get'], nest.get('zzz', 7)
nest.get('a').b.0.c, nums.0, nums.1, people.0.name, (1, 2).1, 'abc'.1
nest.a.b[0]['c'], nest.a.b[1].c, people[-1].name, people[0]['tags'][0]
nums[1:], nums[:2], nums[::-1], nums[::2], nums[-2:], nums[5:], nums[:-1], nums[2:0:-1], nums[:], nums[1:2], nums[-100:100], nums[100:-100:-1]
s[1:], s[:3], s[::-1], s[::2], s[-3:], s[3:1], s[8:2:-2], uni[1:5], uni[::-1], uni[2::3], (1, 2, 3)[1:], ()[1:], ''[1:], s[none:2], s[0:none:none], s[true:3]
nums[::0]
nums['a':]
nums[1.5:]
none_[1:]
one[1:]
nest[1:]
range(10)[2:5], range(10)[::2], range(10)[::-1], range(5)[1], range(5)[-1], range(0, 10, 3)[1:3]
range(5)[7] is defined
range(3), range(1, 3), range(0, 10, 3), range(3, 0, -1), range(0)
range(3) | list, range(1, 4) | list, range(10, 0, -3) | list, range(3) | length, range(3) | first, range(3) | last, range(3) | reverse | list, range(3) | sum, range(3) == range(0, 3), range(0) | list, range(true) | list
range(5).start, range(5).stop, range(5).step
range(3) | tojson
range()
range(1, 2, 0)
range('a')
range(1.5)
range(none)
range(100001)
range(100000) | length
range(1, 2, 3, 4)
1 if yes, 1 if no, 1 if yes else 2, 1 if no else 2, 1 if no else 2 if yes else 3, (1 if no) is defined
(1 if no).x
(1 if no) + 1
'a' if yes else undefinedx.y
yes and 'a', no and 'a', yes or 'a', no or 'a', '' or [] or none or 0 or 'last', 1 and 2 and 3, not yes, not not 'a', not none and not '', yes and not no
1 or 1 / 0, 0 and 1 / 0
s | upper, s | lower, s | title, s | capitalize, s | length, s | count, s | reverse, s | first, s | last, s | list | length, s | wordcount, s | string
'foo bar-baz (qux) [x] {y} <z> o\'neil ÉTÉ ßa' | title, 'HELLO wORLD' | capitalize, 'ßx' | capitalize, 'ßx' | upper, 'ΑΣ ΑΣΑ' | lower, 'İ' | lower | length, 'ŉ' | upper, 'ﬁ' | upper, 'ǆ' | capitalize, 'ǆa' | title
1 | upper, none | upper, true | lower, [1, 'A'] | lower, 1.5 | string, none | string, [none] | string, none | length is defined
1 | length
none | length
s | trim, pad | trim, pad | trim | length, 'xxaxx' | trim('x'), 'abcba' | trim('ab'), 12 | trim, none | trim, pad | trim(none) | length, '\u2003a\u200b\xa0\x1c' | trim | tojson
'a' | trim(1)
s | replace('o', '0'), s | replace('o', '0', 1), s | replace('', '-'), 'aaa' | replace('a', 'b', 2), s | replace(old='l', new='L'), 112 | replace(1, 2), 'abc' | replace('', '-', 2), s | replace('o', none), none | replace('N', 'n')
s | replace('a')
s | replace
nums | join, nums | join(','), nums | join(', ') | length, mixed | join('|'), people | join(',', attribute='name'), 'abc' | join('-'), nest | join(','), nums | join(1), [] | join('x'), people | map(attribute='name') | join(' ')
1 | join
none | join(',')
nums | first, nums | last, [] | first is defined, [] | last is defined, nest | first, nest | last, 'é中' | first, 'é中' | last, (1, 2) | last
1 | first
none | first
1 | last
people | map('length') | last
[] | first + 1
nums | sort, nums | sort(reverse=true), ['b', 'A', 'c', 'a'] | sort, ['b', 'A', 'c', 'a'] | sort(case_sensitive=true), people | sort(attribute='age') | map(attribute='name') | list, people | sort(attribute='age,name') | map(attribute='name') | list, people | sort(true, false, 'name') | map(attribute='name') | list, s | sort | join, nest | sort, [1.5, 1, true, 0] | sort, [[2], [1, 5], [1]] | sort
mixed | sort
[none, 1] | sort
people | sort(attribute='zzz')
[{}, {}] | sort
nums | sum, floats | sum, people | sum(attribute='age'), nums | sum(start=10), [] | sum, [[1], [2]] | sum(start=[]), [true, true] | sum
['a'] | sum
['a'] | sum(start='')
nums | min, nums | max, ['b', 'A'] | min, ['b', 'A'] | max, ['b', 'A'] | min(case_sensitive=true), people | max(attribute='age'), people | min(attribute='name') | string, [] | max is defined, 'hello' | max, [1, 1.0] | max, [1.0, 1] | min
[1, 'a'] | max
none | max
[1, 2, 1, 3, 2] | unique | list, ['a', 'A', 'b'] | unique | list, ['a', 'A', 'b'] | unique(true) | list, people | unique(attribute='age') | map(attribute='name') | list, [1, 1.0, true, '1'] | unique | list, [none, none] | unique | list, [(1, 2), (1, 2)] | unique | list
[[1]] | unique | list
1 | unique | list
nums | reverse | list, s | reverse, 'é中x' | reverse, nest | reverse | list, (1, 2) | reverse | list, nums | map('string') | reverse, nums | reverse | first
1 | reverse
none | reverse
nums | list, s | list, nest | list, (1, 2) | list, range(2) | list, {} | list
1 | list
none | list
nums | map('string') | list, ['a', 'b'] | map('upper') | list, people | map(attribute='name') | list, people | map(attribute='tags') | list, people | map(attribute='tags', default=[]) | list, people | map(attribute='tags.0') | list, people | map(attribute='zzz', default='d') | list, nums | map('string') | map('length') | list, ['a b'] | map('replace', ' ', '_') | list, ['x'] | map('default', 'y') | list, [[1, 2], [3]] | map('sum') | list, [[1, 2], [3]] | map(attribute=0) | list, [' a '] | map('trim') | list, [1, 2] | map('tojson') | join
people | map(attribute='tags') | map('first') | list
nums | map | list
nums | map('nosuch') | list
nums | map(attribute='a', foo=1) | list
nums | map('string', 1) | list
none | map('upper') | list, 0 | map('upper') | list
1 | map('upper') | list
nums | map('upper') | length
(nums | map('string'))[0] is defined
nums | select | list, nums | select('odd') | list, nums | select('gt', 1) | list, nums | select('>', 1) | list, mixed | select('string') | list, mixed | select('none') | list, mixed | reject('none') | list, nums | reject('odd') | list, ['', 'a', none, 0] | select | list, ['', 'a', none, 0] | reject | list, nums | select('in', [1, 2]) | list, nums | select('divisibleby', 3) | list, nums | select('equalto', 2) | list
people | selectattr('tags') | map(attribute='name') | list, people | selectattr('age', 'equalto', 30) | map(attribute='name') | list, people | rejectattr('age', 'eq', 30) | map(attribute='name') | list, people | selectattr('tags', 'defined') | list | length, people | selectattr('tags', 'undefined') | list | length, people | rejectattr('tags') | map(attribute='name') | list, people | selectattr('name', 'in', ['bob']) | list | length, messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list, people | selectattr('tags.0', 'defined') | list | length, [[1, 0], [2, 5]] | selectattr(1) | list, people | selectattr('age', '>=', 26) | list | length
nums | select('nosuch') | list
people | selectattr | list
people | selectattr() | list
nums | selectattr('a.b') | list
mixed | select('odd') | list
1 | select | list
messages | selectattr('role', 'equalto', 'user') | first, messages | rejectattr('role', 'equalto', 'system') | list | length
nest | items | list, {'b': 1, 'a': 2} | items | list, {} | items | list, nest.a | items | first
1 | items | list
none | items | list
[1] | items | list
(1 | items) is iterable
nest | dictsort | length, {'b': 1, 'A': 2, 'a': 3} | dictsort, {'b': 1, 'A': 2} | dictsort(true), {'b': 1, 'a': 2} | dictsort(by='value'), {'b': 1, 'a': 2} | dictsort(false, 'key', true), {'x': 'B', 'y': 'a'} | dictsort(by='value')
{} | dictsort(by='x')
[1] | dictsort
{1: 2, 'a': 3} | dictsort
nums | tojson, nest | tojson, mixed | tojson, quo | tojson, uni | tojson, html | tojson, floats | tojson, none | tojson, true | tojson, (1, 2) | tojson, 's' | tojson, {} | tojson, [] | tojson, big | tojson, 1e1000 | tojson
{1: 'a', none: 1, true: 2, 1.5: 3} | tojson, {'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(sort_keys=true), uni | tojson(ensure_ascii=true), uni | tojson(true), quo | tojson(ensure_ascii=true)
nest | tojson(indent=2), [] | tojson(indent=2), {} | tojson(indent=4), [[], {}] | tojson(indent=1), [1, [2]] | tojson(indent=0), [1] | tojson(indent='--'), {'a': 1} | tojson(indent=none), [1, 2] | tojson(separators=(',', ':')), {'a': [1, 2]} | tojson(separators=[',', ':']), {'a': 1, 'b': 2} | tojson(indent=2, separators=(' ,', ' : ')), [1] | tojson(indent=-1), {'a': 1} | tojson(none, 2)
{(1, 2): 3} | tojson
{'b': 1, 2: 3} | tojson(sort_keys=true)
{none: 1, 'a': 2} | tojson(sort_keys=true)
namespace() | tojson
nums | map('string') | tojson
nest.keys() | tojson
s.upper | tojson
nums | tojson(foo=1)
'a' | safe | tojson
3.7 | int, '42' | int, '42.23' | int, 'x' | int, 'x' | int(5), ' 12 ' | int, '0x1f' | int(0, 16), '1f' | int(base=16), '0b11' | int(base=2), '077' | int(base=8), '-5' | int, '+5' | int, '1_000' | int, '1__0' | int, '' | int, none | int, [] | int, true | int, -3.7 | int, '1e3' | int, 'inf' | int(7), '0x10' | int, '12abc' | int(3), '٣' | int, big | int, '1.5' | int(base=16), '0o17' | int(base=0), '0x_f' | int(base=16), '- 5' | int, none | int(default=none), 1e20 | int
1e1000 | int
'1e1000' | int
'nan' | float | int
'3.5' | float, '3' | float, 'x' | float, 'x' | float(1.5), 3 | float, true | float, none | float, ' 1e3 ' | float, 'inf' | float, '-Infinity' | float, 'nan' | float, '1_0.5' | float, '.5' | float, '5.' | float, '1e' | float, '' | float, [] | float(none), big | float, '0x10' | float, '1e400' | float, 'infinit' | float
3.14159 | round(2), 2.5 | round, 3.5 | round, -2.5 | round, 5 | round, 1234 | round(-2), 1250 | round(-2), 1350 | round(-2), 1234.5 | round(-2), 2.675 | round(2), 0.5 | round(0), 42.55 | round(1, 'ceil'), 42.55 | round(1, 'floor'), 42.2 | round(method='ceil'), 42.9 | round(0, 'floor'), -42.2 | round(0, 'floor'), 5 | round(0, 'ceil'), 1.005 | round(2), 1e300 | round(2), true | round, 25.0 | round(-1), 35.0 | round(-1), 15 | round(-1), -15 | round(-1), 0.1 | round(20), 12345.678 | round(-3), 1e22 | round(-21)
'a' | round
1.5 | round(0, 'x')
none | round
5 | abs, -5 | abs, -5.5 | abs, true | abs, -0.0 | abs, -big | abs, -1 | abs, -one | abs
'a' | abs
none | abs
lines | indent, lines | indent(2), lines | indent(2, true), lines | indent(2, true, true), lines | indent('> '), lines | indent(width=1, first=true), '' | indent, 'a' | indent(3, true), 'a\n' | indent, 'a\n\n' | indent(2, blank=true), '\na' | indent(2), 'a' | indent(-3)
1 | indent
none | indent
s | truncate(5), s | truncate(5, true), s | truncate(8, true, '…', 0), s | truncate(9, false, '...', 0), 'foo bar baz qux' | truncate(9), 'foo bar baz qux' | truncate(11), 'short' | truncate, s | truncate(length=8, leeway=0)
s | truncate(2)
s | center(21), 'ab' | center(5) ~ '|', 'abc' | center(6) ~ '|', 'a' | center | length
'%s-%s' | format(1, 'a'), '%(a)s' | format(a=1), fmt | format('x', 3), 'x' | format, '%s' | format(none), '%5.2f|' | format(3.14159), '%d%%' | format(50)
'%s' | format(1, a=2)
'%s' | format
'%s' | format(1, 2)
html | escape, html | e, html | safe, html | forceescape, (html | escape) | escape, html | safe | e, '<' ~ (html | safe) ~ '>', 1 | e, none | escape, [html] | e, (html | safe) | string, (html | safe) | upper
'<' + (html | safe) + '>'
(html | safe) + '<', '<i>' + ('a' | e), ('<' | safe) * 2, ('<' | safe) == '<', [('<' | safe)], ('<%s>' | safe) % '<', ('<%s %s>' | safe) % ('<', 1), ('{}&' | safe).format('<'), ('a<b' | safe).split('<'), ('<' | safe).join(['<', 'x']), ('<' | safe).replace('<', '>'), '<' in ('<' | safe), ('<a>' | safe)[0], ('<a>' | safe)[1:], ('<a>' | safe) | list, ('x' | safe) is string, ('x' | safe) is escaped, 'x' is escaped, {'a': 1}['a' | safe], ('A' | safe).lower() + '<', (' <' | safe).strip() + '<', ('<' | safe) | trim + '<', ('<' | safe) | replace('<', '&'), ('<' | safe) | join(','), ['<' | safe, '<'] | join('<'), ('<' | safe).upper is defined, ('<' | safe) | indent(2, true) + '<', ('<' | safe) ~ '<', 'a<' | e | length, '<' | e | lower + '&', ('<' | safe) | default('x') + '&', ('<' | safe) | first + '<'
(html | safe) + 1
1 + (html | safe)
'a/b c&d=é~' | urlencode, {'a b': 'c&d', 'e': 1} | urlencode, [('a', 'b c')] | urlencode, 1 | urlencode, '' | urlencode
123 | filesizeformat, 1 | filesizeformat, 12345 | filesizeformat, 1234567 | filesizeformat, 12345 | filesizeformat(true), '1000' | filesizeformat, 0 | filesizeformat, 1e30 | filesizeformat
nums | batch(2) | list, nums | batch(2, 'x') | list, [] | batch(2) | list, range(5) | batch(2) | map('list') | list, nums | batch(0) | list, nums | batch(5, 0) | list
range(7) | slice(3) | list, range(7) | slice(3, 'x') | list, [] | slice(2) | list, [1] | slice(3) | list
[1] | slice(0) | list
people | groupby('age'), people | groupby('age') | map('first') | list, people | groupby('age') | map(attribute='list') | map('length') | list, people | groupby('tags', default=[]) | map('first') | list, ['a', 'A', 'b'] | groupby(0) | length, people | groupby('name')
(people | groupby('age') | first).grouper, (people | groupby('age') | first).list | length
'a b  c-d_e é中' | wordcount, '' | wordcount
s | default('x'), '' | default('x'), '' | default('x', true), none | default('x'), none | default('x', true), 0 | d('x', boolean=true), undefinedx | default, nest.zzz | default('q'), undefinedx | default(default_value='v'), [] | d([1], true)
s | attr('upper') is callable, nest | attr('a') is defined, nest | attr('keys') is callable, s | attr('zzz') is defined
s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), 'they\'re bill\'s ßx ǆ' .title(), 'ß'.swapcase(), 'éÉ'.swapcase()
s.strip('Hd'), pad.strip(), pad.lstrip(), pad.rstrip(), 'xxaxx'.lstrip('x'), 'xxaxx'.rstrip('x'), s.strip(none), '\n\na\n'.strip('\n'), 'abc'.strip(''), 'éaé'.strip('é')
s.strip(1)
s.strip('a', 'b')
s.split(), s.split(' '), s.split('o'), s.split('o', 1), ' a  b '.split(), ' a  b '.split(' '), 'a,b,c'.split(',', maxsplit=1), 'a,b,c'.rsplit(',', 1), ' a b c '.split(none, 1), ' a b c '.rsplit(none, 1), ''.split(), ''.split(','), 'abc'.split('abc'), 'a--b--c'.rsplit('--'), 'aaa'.rsplit('aa'), 'a b'.split(sep=' '), ' a b '.split(none, 0), ' a b '.rsplit(none, 0), 'a,b'.split(',', 0), 'a\u2003b\x1cc'.split(), 'a</think>b</think>c'.split('</think>')[-1]
s.split('')
s.split(1)
lines.splitlines(), lines.splitlines(true), ''.splitlines(), 'a\n'.splitlines(), 'a\x0bb\x0cc\x1dd\x85e\u2028f\u2029g'.splitlines(), '\n'.splitlines(), 'a\r\nb'.splitlines(keepends=true)
'a-b-c'.partition('-'), 'abc'.partition('-'), 'a-b-c'.rpartition('-'), 'abc'.rpartition('-')
'a'.partition('')
s.startswith('He'), s.startswith(('x', 'H')), s.endswith('ld'), s.endswith(('x',)), s.startswith('W', 6), s.startswith('', 11), s.startswith('', 12), s.startswith('l', 2, 3), s.startswith(''), s.startswith(()), s.endswith('Wo', 0, 8), 'é中'.startswith('中', 1), s.startswith('d', -1)
s.startswith(1)
s.startswith(['H'])
s.endswith(('a', 1))
s.startswith()
s.find('o'), s.find('o', 5), s.find('zz'), s.rfind('o'), s.rfind('o', 0, 5), s.find(''), s.find('', 5), s.find('', 50), s.find('o', -4), s.index('W'), s.rindex('l'), s.count('l'), s.count('o', 5), s.count(''), 'é中é'.find('中'), 'é中é'.rfind('é'), 'é中é'.find('é', 1), ''.find(''), 'abc'.find('c', 0, 2), 'abc'.find('', 2, 1), 'aaaa'.count('aa'), 'abc'.count('', 1, 2), 'abc'.count('', 4)
s.index('zz')
s.rindex('zz')
s.find(1)
s.replace('o', '0'), s.replace('o', '0', 1), s.replace('l', ''), s.replace('', '-'), s.replace('zz', 'y'), s.replace('o', '0', 0), s.replace('o', '0', -1)
s.replace('o', 1)
s.replace('o')
s.replace(none, '')
'-'.join(['a', 'b']), ''.join('abc'), ','.join([]), '-'.join({'a': 1, 'b': 2}), ', '.join(people | map(attribute='name')), '-'.join(('x',))
'-'.join([1])
'-'.join(1)
'-'.join(['a', none])
s.removeprefix('Hello '), s.removesuffix('World'), s.removeprefix('x'), s.removesuffix(''), s.removesuffix('ld')
'ab'.center(5) ~ '|', 'ab'.center(6, '*'), 'abc'.center(6, '-'), 'abc'.center(7, '-'), 'ab'.ljust(5, '.'), 'ab'.rjust(5, '.'), '42'.zfill(5), '-42'.zfill(5), '+4'.zfill(4), 'a'.zfill(0), ''.zfill(3), 'é'.rjust(3, '中'), 'a\tb\tcd\n\te'.expandtabs(4), 'a\tb'.expandtabs()
'a'.center(5, 'xx')
'a'.zfill('x')
'abc'.isalpha(), 'ab1'.isalpha(), ''.isalpha(), '123'.isdigit(), '²'.isdigit(), '²'.isdecimal(), '½'.isnumeric(), '½'.isdigit(), '一'.isnumeric(), 'a1'.isalnum(), 'a-'.isalnum(), ' \t'.isspace(), 'aB'.islower(), 'ab1'.islower(), '1'.islower(), 'AB'.isupper(), 'Ab Cd'.istitle(), 'AB'.istitle(), 'abc'.isascii(), 'é'.isascii(), ''.isascii(), 'a\n'.isprintable(), 'é中 '.isprintable(), 'a_1'.isidentifier(), '1a'.isidentifier(), 'é'.isidentifier(), ''.isspace(), '\u200b'.isspace(), '\x1f\x85\u3000'.isspace(), 'ªº'.islower(), 'Ⅷ'.isupper(), 'ǅ'.istitle(), '٣'.isdigit(), '٣'.isdecimal()
'{} {}'.format(1, 'a'), '{0} {1} {0}'.format('x', 'y'), '{a}-{b}'.format(a=1, b=[2]), '{{}}'.format(), '{:>5}|{:<5}|{:^5}|'.format('a', 'b', 'c'), '{:*^7}'.format('x'), '{:5}|{:5}|'.format('s', 7), '{:05d} {:+d} {: d} {:,} {:_}'.format(42, 42, 42, 1234567, 1234567), '{:x} {:X} {:o} {:b} {:#x} {:#b} {:c}'.format(255, 255, 8, 5, 255, 5, 65), '{:.2f} {:e} {:g} {:%} {:.1%}'.format(3.14159, 12345.678, 1e20, 0.5, 0.123)
'{:.3}|{:10.3f}|{:<10.2f}|{:+.1f}|{:08.3f}|{:,.2f}'.format('abcdef', 3.14159, 2.5, 2.0, -3.14159, 1234567.891), '{!r} {!s}'.format('a', 'a'), '{[a]} {.real}'.format({'a': 1}, 1) is defined
'{:.3} {:.3} {:.10} {:5.1} {} {:.0f} {:#.0f} {:g} {:G}'.format(3.0, 1234.5, 0.1, 2.5, 1e16, 2.5, 2.5, 1234567.0, 1e-10), '{:.1} {:.2} {:n} {:n}'.format(0.0, 100.0, 5, 1.5), '{:f} {:d}'.format(true, true), '{} {:5}|'.format(true, false), '{:>{}}'.format('a', 5), '{:{w}.{p}f}'.format(3.14159, w=8, p=2), '{:010,}'.format(1234567), '{:=+8d}'.format(42), '{:<08}'.format(3), '{0[1]} {0[0]}'.format([5, 6]), '{a[b]} {a.b}'.format(a={'b': 3}), '{:s}'.format('x'), '{:-^9}'.format(3.5), '{:e}'.format(0.0), '{:.0e}'.format(15), '{:x<4}'.format(1), '{}'.format(none), '{}'.format([1, 'a']), '{:05}'.format('ab'), '{:_x}'.format(1048576), '{:,}'.format(1234.5678), '{:012,.1f}'.format(1234.5)
'{} {a}'.format_map({'a': 1}) is defined
'{a}'.format_map({'a': 1})
'{}'.format()
'{1}'.format(0)
'{} {0}'.format(1)
'{0} {}'.format(1)
'{a}'.format(1)
'{'.format()
'}'.format()
'{:d}'.format('a')
'{:s}'.format(1)
'{:d}'.format(1.5)
'{:.2d}'.format(1)
'{:q}'.format(1)
'{:5}'.format([1])
'{:5}'.format(none)
'{!x}'.format(1)
'{.__class__}'.format('a')
'{.__class__.mro}'.format('a')
'{:+}'.format('a')
nest.keys() | list, nest.values() | list | length, nest.a.items() | list, nest.get('a') is mapping, nest.get('zzz'), nest.get('zzz', 1), {'a': 1}.items(), {'a': 1}.keys(), {'a': 1}.values(), {}.items(), {'a': 1}.copy(), {'a': 1}.keys() | length, 'a' in {'a': 1}.keys(), 1 in {'a': 1}.values(), ('a', 1) in {'a': 1}.items(), {'a': 1}.keys() == {'a': 2}.keys(), {'a': 1}.items() | first, {'a': 1, 'b': 2}.items() | reverse | list, {'a': 1, 'b': 2}.values() | last, {}.keys() is sameas(1), {'a': 1}.keys() is sequence, {'a': 1}.keys() is iterable
{'a': 1}.keys()[0] is defined
nest.keys()[0].x
nest.get()
nest.get([1])
nest.get('a', 1, 2)
nest.items()
{'items': 1}['items'], {'items': 1}.items() | list, {'a': 1}.a, {'a': {'get': 3}}.a['get']
nums.index(2), nums.count(1), (1, 1).count(1), (1, 2).index(2), [1, 2, 1].index(1, 1), nums.copy(), [true].index(1), ['a', 'b'].index('b')
nums.index(9)
(1,).append
(1,).append(2)
(3).bit_length(), 3.0.is_integer() is defined
(2.0).is_integer(), (2.5).is_integer()
dict(), dict(a=1, b=2), dict({'a': 1}, b=2), dict([('a', 1), ('b', 2)]), dict.fromkeys(['a', 'b'], 1), dict(nest.a), {}.fromkeys('ab')
dict(1)
dict([1])
dict(['ab']), dict([[1, 2]])
namespace(a=1).a, namespace({'b': 2}).b, namespace(), namespace(a=[1]), namespace(a=1).zzz is defined
namespace(a=1)['a']
namespace(_a=1)
namespace(a=1).b.c
namespace(1)
cycler('a', 'b').next(), cycler('a', 'b').current
cycler()
joiner('-')() ~ joiner()()
raise_exception('no: ' ~ s)
raise_exception()
raise_exception(1)
strftime_now('%Y-%m-%d %H:%M:%S'), strftime_now('%d %b %Y'), strftime_now('%A %a %B %j %U %W %w %u %V %G %y %C'), strftime_now('%I:%M %p %-d %-m %e %k|%l %D %F %T %R %r %c %x %X %h %n%t%% %f %s %z%Z|') | length > 0, strftime_now('%I:%M %p %-d %-m %-H %e|%k|%l|%D %F %T %R|%h|%n|%t|%%|%f|%z%Z|'), strftime_now('%^a %_d %-I %_m %g %P'), strftime_now('%x %X %c'), strftime_now(''), strftime_now('no'), strftime_now('é %Y')
strftime_now(1)
1 is odd, 2 is even, 2.0 is even, 3 is divisibleby 3, 3 is divisibleby(2), true is odd, -1 is odd, 1.5 is odd
'a' is odd
none is even
1 is divisibleby 0
1 is number, 1.0 is number, true is number, 'a' is number, 1 is integer, true is integer, 1.0 is integer, big is integer, 1.0 is float, 1 is float, true is boolean, 1 is boolean, true is true, 1 is true, false is false, 0 is false
'a' is string, 1 is string, [] is string, [] is sequence, () is sequence, 'a' is sequence, {} is sequence, 1 is sequence, none is sequence, {} is mapping, [] is mapping, [] is iterable, 'a' is iterable, 1 is iterable, none is iterable, {} is iterable, range(2) is sequence, range(2) is iterable, (nums | map('string')) is iterable, (nums | map('string')) is sequence
'a' is lower, 'A' is lower, 'A' is upper, 'aB' is upper, 1 is lower, '' is lower, none is upper
s.upper is callable, 1 is callable, range is callable, dict is callable, raise_exception is defined, loop is defined, namespace is callable, cycler is callable
1 is sameas 1, true is sameas true, none is sameas none, 1 is sameas true, nums is sameas nums, [] is sameas [], 'a' is sameas 'a', 1 is sameas 1.0
1 is eq 1, 1 is equalto 1, 1 is ne 2, 1 is lt 2, 1 is le 1, 2 is gt 1, 2 is ge 3, 2 is lessthan 3, 2 is greaterthan 3, 'a' is in 'abc', 1 is in [1], 1 is not in [1], 1 is == 1
'upper' is filter, 'nosuch' is filter, 'odd' is test, 'nosuch' is test, 'tojson' is filter, 1 is filter is defined
1 is not odd, not 1 is odd, 1 is not none, none is not none, 1 is not defined, s is not string and yes
1 is odd and 2 is even, 1 is odd or 1 / 0, 'a' if 1 is odd else 'b', [1 is odd, 2 is odd], (1 is odd) is true
1 is nosuch
1 | nosuch
1 is lt 'a'
1 is lt
1 is odd(1)
1 is defined is defined
1 is divisibleby 2 is true
nums | length is odd, nums | length > 2, nums | length + 1, nums | first ~ 'x', -nums | first, (nums | first) + 1, not nums | length, nums|length//2, 'a' ~ nums | join(',') ~ 'b', 1 + 2 | string, 'a' + 'b' | upper, 2 * 3 | string | length
s.split(' ')[0].lower().replace('h', 'J')[1:], (s | upper).lower(), s | upper | lower | title, ('a,b' | string).split(',') | last
nums | sort | map('string') | join('-') | upper | replace('-', '+')
loop
{'a': [1, 2, {'b': none}]}.a[2].b is none, [[1, 2], [3, 4]][1][0], [1, 2, 3][1:][0], 'abc'[1:][0], ({'a': 1} | items | first)[1], (nums | sort)[0]
1.5.x is defined
nums.0.x is defined
nest . a . b [ 0 ] . c
s  .  upper  (  )
{'a':1}.a,{'a':1}['a']
[1,2,3][-1],[1,2,3] [0]
'{{ not }} a template {% x %}'
"}}" ~ '%}' ~ "#}"
{'a': {'b': {'c': 1}}}
a-b
s if s else t
[] is none or {} is none
'x' * 3 ~ 'y' * 2
-3 % 5, 3 - -3, - - 3, +-+3, 2--1, not -1
1 if 2 > 1 else 0 if no else 5
(1, 2) + (3,), (1, 2) == (1, 2), (1, 2)[0], (), ((1, 2), 3)
1 , 
nums | map('int') | list == nums, [1, 'a'] == [1, 'a'], {'a': 1} != {'a': 2}, nums == 5
dict(a=1, a=2)
dict(**{'a': 1}), dict(*[[('k', 'v')]]), '{}{}'.format(*nums[:2]), '{a}'.format(**{'a': 5})
dict(**1)
dict(*1)
dict(**{1: 2})
s.upper(x=1)
s.upper(1)
foo(1)
nums | join(foo=1)
nums | join(',', 'name', 3)
nums | default(1, 2, 3)
nums | first(1)
nums | tojson(1, 2, 3, 4, 5)
s | upper()
s | upper(1)
nums|sort(nosuch=1)
'a'.join.x
1e5 | int, 1e5, 100000.0 | string, 12345678.9 | string, 0.1 | string, 1e100
3 | string + 'a'
'😀'[0], '😀' | length, '👩‍🚀' | length, '👩‍🚀' | list
'a\u0301' | length, 'ﬀ' | upper | lower, 'ı' | upper, 'K' | lower
'abc' is in ['abc'], {'a': 1} is in [{'a': 1}]
[1, 2] is eq [1, 2]
lipsum is defined
'a' < 1 if no else 'ok'
x.y.z if x is defined else 'undefined'
(none or {}).get('a', 'b')
messages[0]['role'] == 'system' and messages[0].content
messages | length, messages[-1].content, messages[1:] | length, messages[0].get('tool_calls') is none, messages[2].tool_calls[0].function.arguments | tojson, messages[3].content[0].text, messages[3].content is string, messages[3]['content'] is iterable
messages | map(attribute='role') | join(','), messages | map(attribute='role') | unique | list, messages | selectattr('role', 'in', ['user', 'tool']) | list | length
messages[2].tool_calls is defined and messages[2].tool_calls is not none
messages[99] is defined, messages[99].role is defined
'a' == 'a' | upper
'%s' % 'a' ~ 'b'
{'role': 'user', 'content': s} | tojson
[{'a': 1}, {'a': 2}] | map(attribute='a') | sum
nest.a.b | map(attribute='c') | list, nest.a.b | selectattr('c', 'string') | list
'x' in nest, 'a' in nest, 'x y' in nest, nest['x y'], nest.a is mapping
'ab' | list | tojson, 'ab' | map('upper') | list, {'a': 1} | map('upper') | list
10 | string | length, (10 | string)[0], 10 ~ ''
0.1 + 0.2 == 0.3, 0.1 * 3, 1 - 0.9, 1e-10 + 1, 100 * 1.1, 3 * 1.0, 7 / 7
1.e5
.5
5.
0x
0b12
09
1__0
1_
'abc
"abc
@
$x
a ! b
a ? b : c
{'a' 1}
[1 2]
(1, 2
1 +
* 2
not
a is
a |
a.
a[
a..b
a.'b'
f(a b)
f(a=1, 2)
f(*a, b)
f(**a, b=1)
f(**a, *b)
f(a=1, *b) is defined
{1, 2}
[x for x in y]
lambda x: x
a := 1
a = 1
a; b
1 if
1 if 2 else
if
in
is
x is not
1 is
'a' 'b' ~ 'c'
a not b
1 not in [2]
1 <> 2
1 && 2
1 =< 2
nums[1, 2]
nums[1, 2] is defined
nums[1:2:3:4]
nums[]
nums[:,]
()()
[](1)
{}.a
''.a
nums[nums[1]], nums[-nums[1]], nest['a']['b'][nums[1]].c
1.0 // 0.1, 1 // 0.1, 1.0 % 0.1, -1 % 0.1, 1e300 * 1e10 // 1, 5.5 // 1.1
'ab' * big
[1] * big
2 ** 64, 2 ** 63 - 1, -2 ** 63, 3 ** 40, 7 ** 77 % 1000
1 < 1.5 < 2, 1 <= 1.0 <= true
"a" ~ ("b" if no)
'a\\nb', 'a\\\nb'
html | replace('<', '&lt;'), html | length
("x" ~ 1) * 2, ("x" ~ 1) | upper
nums | sort(reverse=True) | first, nums | sort(reverse=1), nums | sort(False)
[3, 1, 2] | sort == [1, 2, 3]
people | sum('age'), people | map(attribute='age') | max
people | selectattr('age', 'gt', 26) | sort(attribute='name', reverse=true) | map(attribute='name') | join('|')
(1, 'a', none) | tojson, [(1, 2), (3,)] | tojson
{'k': (1, 2)} | string, [(1,), ()] | string
'a' | default(undefinedx) , undefinedx | default(undefinedy) is defined
namespace | string is string, range is sameas range
'%(x)s %(y)s' % dict(x=1, y='b')
'é' | urlencode, 'é' | escape, 'é' | upper, 'é' | capitalize
" a b ".split(" ")|length, "".split(" ")
s is string and s is sequence and s is iterable
s is mapping or s is number
nums is sequence and nums is not mapping and nums is not string
'x' ~ undefinedx ~ 'y' ~ none ~ nest.q
'abc' | batch(2) | list, 'abc' | slice(2) | list
[[1, 'b'], [1, 'a']] | sort, [[2], [1]] | sort(attribute='0'), [{'a': {'b': 2}}, {'a': {'b': 1}}] | sort(attribute='a.b') | first
people | groupby(attribute='age') | list | length
'a' | indent(width=2, first=True), 'a\nb' | indent(width='\t')
nums | max - nums | min
0 or none or undefinedx or 'end'
big | string | length, -big
'{:f} {:F} {:E} {:%} {:6}| {:06.1f} {:+}'.format('inf' | float, 'nan' | float, '-inf' | float, 'nan' | float, 'inf' | float, '-inf' | float, 'inf' | float)
'%f %5.1f %d' % ('inf' | float, 'nan' | float, 1.9)
'%d' % ('inf' | float)
'%d' % ('nan' | float)
'nan' | float | tojson, 'inf' | float | tojson, ['-inf' | float] | tojson, 'nan' | float == 'nan' | float, 1 < 'nan' | float, 'nan' | float | round(2), 'inf' | float // 1, 'inf' | float % 2
'nan' | float | round(0, 'ceil')
'inf' | float | round
big > 'inf' | float, 'inf' | float > big, '-inf' | float < 5, 5 > '-inf' | float
'{:,}'.format('a')
'{:#}'.format('a')
'{:=5}'.format('a')
'{: }'.format('a')
'{:.}'.format(1.5)
'{:c}'.format(-1)
'{:,c}'.format(65)
'{:,n}'.format(65)
'{:é^7}'.format('x'), '{:<<5}'.format('x'), '{:>>5}'.format(1), '{:}'.format(1), '{!s:>4}'.format(1), '{0!r:>6}'.format('a'), '{:^5}|{:^6}|'.format(1, 1), '{:_}'.format(12345.678), '{:_b}'.format(255), '{:,.0f}'.format(1e9), '{:.3e}'.format(123456), '{:G}'.format(1e-10), '{:#x}'.format(-255), '{:#o}'.format(8), '{:08b}'.format(5), '{:+.2%}'.format(0.5), '{:#g}'.format(1.0), '{:#e}'.format(1.0), '{:#.0e}'.format(1.0), '{:.0%}'.format(0.125), '{:e}'.format(123456789), '{:g}'.format(0.0001), '{:g}'.format(0.00001), '{:.17g}'.format(0.1), '{:.0f}'.format(-0.4), '{:n}'.format(1234567), '{: .2f}'.format(1.5), '{:09.2f}'.format(-1.5), '{:X}'.format(48879)
'{a.b.c[0]} {a[b]}'.format(a={'b': {'c': [7]}})
'{a[0]}'.format(a=nums), '{a[-1]}'.format(a={'-1': 5}), '{0.x}'.format({'x': 1}), '{[0]}'.format(nums) is defined
'{a..b}'.format(a=1)
'{a[b}'.format(a=1)
'{a]}'.format(a=1)
range(5).index(3), range(5).count(3), range(5).index, range(3) is string, range(0, 6, 2)[::-1] | list, range(2, 5)[-1:] | list
1 if {}.keys() else 2, 1 if {'a': 1}.items() else 2, 1 if range(0) else 2, 1 if range(1) else 2, 1 if big else 2, 1 if 0.0 else 2, 1 if '' | safe else 2, 1 if 'a' | safe else 2, 1 if namespace() else 2, 1 if range else 2, 1 if (nums | map('string')) else 2, 1 if -0.0 else 2, 1 if () else 2, 1 if (0,) else 2, 1 if 0 * big else 2
'ΑΣ\'Σ' | lower, 'Σ' | lower, 'ΑΣ.' | lower, 'ΑΣ\u0301 Β' | lower, 'ΑΣΑ' | capitalize, 'ΌΣΟΣ' | title, 'aΣ' .title(), 'ΣΑΣ'.swapcase()
{'a': 1}.items() == {'a': 1}.items(), {'a': 1}.items() == {'a': 2}.items(), {'a': 1}.values() == {'a': 1}.values(), {'a': 1}.keys() == ['a'], range(3) == [0, 1, 2], range(0, 4, 2) == range(0, 3, 2), namespace() == namespace(), s.upper == 1, none in [undefinedx], undefinedx in [none], undefinedx in [undefinedy]
big is sameas big, (big + 0) == big, big in [big], {big: 1}[big], {1e20: 2}[10 ** 20], {(1, 'a'): 3}[(1, 'a')], {(1.0, 2): 4}[(1, 2)], {none: 5}[none], {undefinedx: 6}[undefinedx], {1.5: 7}[1.5], {'a' | safe: 8}['a'], {true: 9}[1]
{(1, [2]): 3}
'a' in {(1, 2): 3}, (1, 2) in {(1, 2): 3}, 1 in {1.0: 2}.keys(), 2 in {'a': 2}.values()
[1] in {1: 2}.keys()
'abc' | replace('', ''), 'aaa' | replace('a', ''), 'x' | replace('x', 'xx') | replace('x', 'y', 0)
'a,b;c' | urlencode, '/?&=' | urlencode, {'k': none} | urlencode, [1] is iterable
[1] | urlencode
'abc' | filesizeformat
none | filesizeformat
undefinedx | filesizeformat
1e5 | filesizeformat, 999 | filesizeformat, 1000 | filesizeformat, 1024 | filesizeformat(binary=true), 1e26 | filesizeformat
'1_000.5' | float, '１２' | int, '1２' | float, '0b12' | int(7, 2), '0B1' | int(7, 2), ' 0x1F ' | int(7, 16), '' | int(1, 16), '+' | int(1), 'z' | int(base=36), '1' | int(base=1), '0_0' | int, '_1' | int(5), '1_' | int(5), '00' | int(base=0), '01' | int(4, 0)
nums | batch(linecount=2, fill_with=none) | list, nums | slice(slices=2, fill_with='f') | list, nums | batch(true) | list, nums | batch(2.0) | list
nums | batch('a') | list
nums | slice('a') | list
nums | batch | list
'a b' | title, 'A.B' | title, '1a' | title, ' a' | title, '' | title, '' | capitalize, 'éa' | capitalize, '\n\ta' | title
(1, 2) | sort(reverse=true), {'b': 1, 'a': 2} | sort, 'bca' | sort, 'bca' | max, {'b': 1} | first, {'b': 1} | max, [(2, 'a'), (1, 'b')] | sort, [(2, 'a'), (1, 'b')] | max, people | min(attribute='age') | attr('name') is defined
[{'a': none}, {'a': 1}] | sort(attribute='a')
[1, 'a', 2] | unique | list, 'aAb' | unique | join, 'aAb' | unique(case_sensitive=true) | join
'end'
'''

TEMPLATES = [
    "",
    "\n",
    "\n\n",
    "a\n",
    "a\r\nb\rc\n",
    "plain {text} % # } { text",
    "{# comment #}x",
    "{# comment #}\nx",
    "  {# comment #}\nx",
    "a {# c -#} \n b",
    "a \n {#- c #} b",
    "a {#+ c #} b",
    "{# {{ x }} {% if %} #}y",
    "{#-#}x",
    "{# a # b #}x",
    "{# unclosed",
    "{% if yes %}\na\n{% endif %}\nb",
    "  {% if yes %}\n  a\n  {% endif %}\n  b",
    "x {% if yes %}\n  a\n  {% endif %} y",
    "{%- if yes %}\na\n{%- endif %}\nb",
    "\n  {%- if yes -%}  \n  a  \n  {%- endif -%}  \n b",
    "  {%+ if yes %}\n  a\n  {%+ endif %}\n",
    "{% if yes +%}\na\n{% endif +%}\nb",
    "a\n{{ s }}\nb",
    "a \n {{- s -}} \n b",
    "a \n {{+ s }} b",
    "  {{ s }}",
    "{{ s }}  \n  {{ s }}",
    "{{ s }}\n\n{{ s }}\n\n",
    "\t{% set x = 1 %}\t\n{{ x }}",
    "a\t{% set x = 1 %}\n{{ x }}",
    "{% set x = 1 %}\n\n{{ x }}",
    "{% set x = 1 -%}\n\n  {{ x }}",
    "{% set x = 1 %} {% set y = 2 %}\n{{ x }}{{ y }}",
    "   {% set x = 1 %}   {% set y = 2 %}\n{{ x }}{{ y }}",
    "{% set x = 1 %}\n   {% set y = 2 %}\n{{ x }}{{ y }}",
    "{{ 1 }}\n   {% set y = 2 %}\n{{ y }}",
    "{{ 1 }}   {% set y = 2 %}\n{{ y }}",
    "{% if yes %}   {% if yes %}\nx{% endif %}{% endif %}",
    "\xa0{% if yes %}\u3000\n\xa0x{% endif %}",
    "\xa0\u2003{%- if yes -%}\u3000\n\xa0x{% endif %}",
    "{% raw %}{{ x }}{% if %}{# c #}{% endraw %}",
    "  {% raw %}\n  {{ x }}\n  {% endraw %}\n y",
    "  {%- raw -%}\n  {{ x }}\n  {%- endraw -%}\n y",
    "a {%+ raw %} b {%+ endraw +%}\n c",
    "{% raw %}{% endraw",
    "{% raw +%}x{% endraw %}",
    "{% raw %}",
    "{%raw%}{%endraw%}x",
    "{% rawx %}",
    "{{ '{% raw %}' }}",
    "{{ x",
    "{% if",
    "{{ x }",
    "{{ x %}",
    "{% if x }}",
    "{{ }}",
    "{{}}",
    "{% %}",
    "{%%}",
    "{{ {} }}",
    "{{ {'a': {'b': 1}} }}",
    "{{{'a': 1}}}",
    "{{ {'a': 1}['a']}}",
    "{{'}}'}}",
    "{%if yes%}x{%endif%}",
    "{%- if yes -%}x{%- else -%}y{%- endif -%}",
    "{% if yes %}a{% elif no %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif yes %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif no %}b{% elif 0 %}c{% else %}d{% endif %}",
    "{% if no %}a{% endif %}",
    "{% if %}a{% endif %}",
    "{% if yes %}a",
    "{% if yes %}a{% else %}b{% else %}c{% endif %}",
    "{% if yes %}a{% else %}b{% elif no %}c{% endif %}",
    "{% if yes: %}a{% endif %}",
    "{% if yes, no %}a{% endif %}",
    "{% endif %}",
    "{% else %}",
    "{% nosuch %}",
    "{% if yes %}{% nosuch %}{% endif %}",
    "{% if yes %}{% endfor %}{% endif %}",
    "{% for x in nums %}{{ x }},{% endfor %}",
    "{% for x in nums %}\n{{ x }}\n{% endfor %}\n",
    "{% for x in [] %}a{% else %}none{% endfor %}",
    "{% for x in nums %}a{% else %}none{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2} | items %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in nest %}{{ k }};{% endfor %}",
    "{% for c in 'é中x' %}{{ c }}-{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, in [(1,)] %}{{ a }}{% endfor %}",
    "{% for a, b in ['xy'] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [1] %}{% endfor %}",
    "{% for a, b in [(1,)] %}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{% for x in 1 %}{% endfor %}",
    "{% for x in none %}{% endfor %}",
    "{% for x in undefinedx %}a{% else %}b{% endfor %}",
    "{% for x in undefinedx.y %}a{% endfor %}",
    "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}",
    "{% for x in nums if x > 1 %}{{ x }}{{ loop.index }}{{ loop.last }}{% endfor %}",
    "{% for x in nums if x > 1 %}{{ x }}/{{ loop.length }};{% endfor %}",
    "{% for x in nums if x > 5 %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in nums if loop.first %}{{ x }}{% endfor %}",
    "{% for x in nums if x > 1 if yes %}{{ x }}{% endfor %}",
    "{% for x in (nums if yes else []) %}{{ x }}{% endfor %}",
    "{% for x in nums if yes else [] %}{{ x }}{% endfor %}",
    "{% for a, b in [(1, 2), (3, 4)] if b > 2 %}{{ a }}{% endfor %}",
    "{% for x in nums %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }}|{% endfor %}",
    "{% for x in nums %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}",
    "{% for x in nums %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }};{% endfor %}",
    "{% for x in nums %}{{ loop.previtem + 1 }}{% endfor %}",
    "{% for x in nums %}{{ loop.nextitem.foo }}{% endfor %}",
    "{% for x in nums %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in nums %}{{ loop.cycle() }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }},{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x, 1) }},{% endfor %}",
    "{% for x in nums %}{{ loop }}{% endfor %}",
    "{% for x in nums %}{{ loop.foo is defined }}{{ loop['index'] }}{% endfor %}",
    "{% for x in nums %}{{ loop | length }}{% endfor %}",
    "{% for x in nums %}{{ loop('a') }}{% endfor %}",
    "{% for x in nums %}{{ loop.index }}{% for y in nums %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}",
    "{% for x in nums %}{% set outer = loop %}{% for y in [1] %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% for x in nums %}{% for y in [1] if loop.first %}{{ x }}{% endfor %}{% endfor %}",
    "{% for x in nums %}{% for y in [loop.index] %}{{ y }}{% endfor %}{% endfor %}",
    "{% for x in [] %}{% else %}{{ loop is defined }}{% endfor %}",
    "{{ loop.index }}",
    "{% for x in nums | map('string') %}{{ x }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for x in nums | map('string') %}{{ x }}{{ loop.revindex }} {% endfor %}",
    "{% for x in nums | map('string') %}{{ loop.nextitem }}{{ x }}{{ loop.previtem }} {% endfor %}",
    "{% set g = nums | map('string') %}{{ g | join }}{{ g | join }}|{{ g | list }}",
    "{% set g = nums | map('string') %}{{ g | first }}{{ g | first }}{{ g | first }}{{ g | first is defined }}",
    "{% set g = nums | reverse %}{{ g | list }}{{ g | list }}",
    "{% set g = nest.keys() %}{{ g | list }}{{ g | list | length }}",
    "{% for x in nums %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in nums %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in nums %}{% break %}{% else %}e{% endfor %}",
    "{% for x in nums %}{% continue %}{% else %}e{% endfor %}",
    "{% for x in nums %}{% if x == 2 %}{% continue %}{% endif %}{% else %}e{% endfor %}",
    "{% for x in nums %}{% for y in nums %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% for x in nums %}{% for y in [] %}{% else %}{% break %}{% endfor %}{{ x }}{% endfor %}",
    "{% for x in nums %}{% with y = x %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endwith %}{% endfor %}",
    "{% for x in nums %}{% set y %}a{% if x == 1 %}{% break %}{% endif %}{% endset %}{{ y }}{% endfor %}",
    "{% for x in nums %}{% filter upper %}a{% if x == 1 %}{% continue %}{% endif %}b{% endfilter %}{% endfor %}",
    "{% break %}",
    "{% continue %}",
    "{% if yes %}{% break %}{% endif %}",
    "{% for x in nums %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in nums %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% for x in nums %}{% call range() %}{% continue %}{% endcall %}{% endfor %}",
    "{% for t in tree recursive %}{{ t.n }}[{{ loop(t.kids) }}]{{ loop.depth }}{% endfor %}",
    "{% for t in tree recursive %}{{ t.n }}{% if t.kids %}({{ loop(t.kids) }}){% else %}.{% endif %}{{ loop.depth0 }}{{ loop.last }}{% else %}none{% endfor %}",
    "{% for t in tree recursive %}{{ loop(t.kids) }}{% else %}e{% endfor %}",
    "{% for t in tree recursive %}{{ loop(1) }}{% endfor %}",
    "{% for t in tree if t.n recursive %}{{ t.n }}{{ loop(t.kids) }}{% endfor %}",
    "{% for t in tree recursive %}{{ loop() }}{% endfor %}",
    "{% for loop in nums %}{% endfor %}",
    "{% for x in nums %}{% set loop = 1 %}{% endfor %}",
    "{% set loop = 1 %}{{ loop }}",
    "{% for x in nums %}{% for y in nums %}{% endfor %}{% set loop = 1 %}{% endfor %}",
    "{% for x.y in nums %}{% endfor %}",
    "{% for 1 in nums %}{% endfor %}",
    "{% for x nums %}{% endfor %}",
    "{% for x in %}{% endfor %}",
    "{% for in nums %}{% endfor %}",
    "{% for x in nums %}",
    "{% for none in nums %}{% endfor %}",
    "{% set x = 1 %}{{ x }}",
    "{% set x = 1, 2 %}{{ x }}",
    "{% set x, y = 1, 2 %}{{ x }}{{ y }}",
    "{% set (x, y) = [1, 2] %}{{ x }}{{ y }}",
    "{% set x, (y, z) = 1, (2, 3) %}{{ x }}{{ y }}{{ z }}",
    "{% set x, y = 1 %}",
    "{% set x, y = (1, 2, 3) %}",
    "{% set x = y = 1 %}",
    "{% set x %}a{{ s }}b{% endset %}[{{ x }}]",
    "{% set x | upper %}a{{ s }}b{% endset %}[{{ x }}]",
    "{% set x | upper | replace('A', '<') %}abc{% endset %}[{{ x }}]",
    "{% set x %}\n  a\n{% endset %}[{{ x }}]",
    "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y is defined }}",
    "{% set ns.x = 1 %}",
    "{% set ns = namespace(x=0) %}{% for i in nums %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns }}",
    "{% set ns = namespace(a=1) %}{% set ns.a, y = 5, 6 %}{{ ns.a }}{{ y }}",
    "{% set ns = namespace(a=1) %}{% set ns.b %}x{{ s }}{% endset %}{{ ns.b }}",
    "{% set ns = {} %}{% set ns.a = 1 %}",
    "{% set ns = namespace() %}{% set ns._a = 1 %}",
    "{% set ns = namespace() %}{% set ns['a'] = 1 %}",
    "{% set nums[0] = 1 %}",
    "{% set s.x = 1 %}",
    "{% set s.x %}a{% endset %}",
    "{% set none = 1 %}",
    "{% set 1 = 1 %}",
    "{% set x %}",
    "{% set %}",
    "{% set x = %}",
    "{% set x = 1 if yes %}{{ x }}",
    "{% set x = undefinedx %}{{ x is defined }}",
    "{% set x = 1 %}{% for i in nums %}{% set x = i %}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% for i in nums %}{{ x }}{% set x = i %}{{ x }} {% endfor %}{{ x }}",
    "{% for i in nums %}{{ x }}{% set x = i %}{{ x }} {% endfor %}{{ x is defined }}",
    "{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% if yes %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% if no %}{% set s = 2 %}{% endif %}{{ s }}",
    "{% for i in nums %}{% if i == 1 %}{% set s = 'set' %}{% endif %}{{ s }} {% endfor %}{{ s }}",
    "{% for i in nums %}{% if i == 1 %}{% set q = 'set' %}{% else %}{{ q }}{% endif %}{{ q }} {% endfor %}",
    "{% for i in nums %}{{ s }}{% endfor %}{% set s = 'x' %}{{ s }}",
    "{{ s }}{% for i in nums %}{{ s }}{% endfor %}{% set s = 'x' %}{{ s }}",
    "{% for i in nums %}{{ s }}{% endfor %}{% if yes %}{% set s = 'x' %}{% endif %}{{ s }}",
    "{% macro f() %}{{ s }}{% endmacro %}{{ f() }}{% set s = 'x' %}{{ f() }}",
    "{% macro f() %}{{ s }}{% endmacro %}{{ s }}{{ f() }}{% set s = 'x' %}{{ f() }}",
    "{% macro f() %}{{ q }}{% endmacro %}{% set q = 'x' %}{{ f() }}",
    "{% for i in [1, 2] %}{% macro f() %}{{ q }}{{ i }}{% endmacro %}{% set q = i %}{{ f() }}{% endfor %}",
    "{% set x = 1 %}{% with %}{% set x = 2 %}{{ x }}{% endwith %}{{ x }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}",
    "{% with s = 1, b = s %}{{ s }}{{ b }}{% endwith %}{{ s }}",
    "{% with a, b = 1, 2 %}{{ a }}{% endwith %}",
    "{% with (a, b) = (1, 2) %}{{ a }}{{ b }}{% endwith %}",
    "{% with %}x{% endwith %}",
    "{% with a %}x{% endwith %}",
    "{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(1) }}{{ f('x') }}{{ f(a=2) }}{{ f() }}",
    "{% macro f(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }} {{ f(1, 3) }} {{ f(1, c=9) }} {{ f(1, 2, 3) }}",
    "{% macro f(a=b, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ f() }}",
    "{% macro f(a=nums) %}{{ a }}{% endmacro %}{{ f() }}{{ f(none) }}",
    "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, a=3) }}{{ f() }}",
    "{% macro f(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ f(1, 2, 3) }}{{ f(1) }}",
    "{% macro f(a) %}{{ a }}{{ kwargs }}{% endmacro %}{{ f(1, b=3) }}{{ f(a=1) }}{{ f(b=1) }}",
    "{% macro f(a) %}{{ a.b }}{% endmacro %}{{ f() }}",
    "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{% endmacro %}{{ f(b=2) }}",
    "{% macro f(a) %}{% endmacro %}{{ f(1, a=2) }}",
    "{% macro f(a, a) %}{% endmacro %}",
    "{% macro f(a=1, b) %}{% endmacro %}",
    "{% macro f(1) %}{% endmacro %}",
    "{% macro f %}{% endmacro %}",
    "{% macro f() %}",
    "{% macro 1() %}{% endmacro %}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(100) }}ok",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f() %}a{% endmacro %}{{ f }}{{ f.name }}{{ f.arguments }}{{ f is callable }}",
    "{% macro f(x, y=1) %}{% endmacro %}{{ f.arguments }}{{ f.catch_kwargs }}{{ f.catch_varargs }}{{ f.caller }}{{ f.zzz is defined }}",
    "{% macro f() %}\n  a\n{% endmacro %}\n[{{ f() }}]",
    "{% macro f() -%}\n  a\n{%- endmacro %}\n[{{ f() }}]",
    "{% macro f(x) %}{% set y = x %}{{ y }}{% endmacro %}{{ f(1) }}{{ y is defined }}",
    "{% macro f(x) %}{% set ns.v = x %}{% endmacro %}{% set ns = namespace(v=0) %}{{ f(5) }}{{ ns.v }}",
    "{% macro f(x) %}{{ x | upper }}{% endmacro %}{{ f('<a>') + '<b>' }}{{ f('a') | length }}{{ f('a') is string }}",
    "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}g{% endmacro %}{{ f() }}",
    "{% if yes %}{% macro f() %}a{% endmacro %}{% endif %}{{ f() }}",
    "{% for x in nums %}{% macro f() %}{{ x }}{{ loop.index }}{% endmacro %}{{ f() }}{% endfor %}{{ f is defined }}",
    "{% macro f(loop) %}{{ loop }}{% endmacro %}{{ f(1) }}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}body{% endcall %}",
    "{% macro f() %}[{{ caller('x') }}]{% endmacro %}{% call(a) f() %}body {{ a }}{% endcall %}",
    "{% macro f() %}[{{ caller('x', b='y') }}]{% endmacro %}{% call(a, b='z') f() %}{{ a }}{{ b }}{% endcall %}",
    "{% macro f() %}[{{ caller() }}]{% endmacro %}{% call(a) f() %}{{ a is defined }}{% endcall %}",
    "{% macro f(x) %}{{ x }}{{ caller() }}{{ caller() }}{% endmacro %}{% call f(1) %}{{ s }}{% endcall %}",
    "{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}",
    "{% macro f() %}a{% endmacro %}{% call f() %}b{% endcall %}",
    "{% macro f(caller) %}{{ caller() }}{% endmacro %}",
    "{% macro f(caller=none) %}{{ caller() if caller else 'no' }}{% endmacro %}{{ f() }}{% call f() %}x{% endcall %}",
    "{% macro f(kwargs) %}{{ kwargs }}{% endmacro %}{{ f(1) }}",
    "{% macro f() %}{{ caller(1, 2) }}{% endmacro %}{% call f() %}{{ varargs }}{% endcall %}",
    "{% call s %}x{% endcall %}",
    "{% call s.upper() %}x{% endcall %}",
    "{% call range(3) %}x{% endcall %}",
    "{% macro f() %}{{ caller.name }}{{ caller }}{% endmacro %}{% call f() %}{% endcall %}",
    "{% set x = 1 %}{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}{% set x = 2 %}{{ x }}{% endcall %}{{ x }}",
    "{% generation %}a{{ s }}{% endgeneration %}",
    "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}",
    "a\n  {% generation %}\n  b\n  {% endgeneration %}\nc",
    "{%- generation -%} b {%- endgeneration -%}",
    "{% generation x %}{% endgeneration %}",
    "{% generation %}",
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ loop.index }}{% endgeneration %}{% endif %}{% endfor %}",
    "{% filter upper %}a{{ s }}b{% endfilter %}",
    "{% filter upper | replace('A', 'x') %}a{{ s }}b{% endfilter %}",
    "{% filter indent(2, first=true) %}a\nb{% endfilter %}",
    "{% filter nosuch %}a{% endfilter %}",
    "{% set x = 1 %}{% filter upper %}{% set x = 2 %}{% endfilter %}{{ x }}",
    "{% filter %}a{% endfilter %}",
    "{% print 1 %}{% print 1, 'a' %}",
    "{% print %}x",
    "{{ 1 | nosuch }}",
    "{% if no %}{{ 1 | nosuch }}{% endif %}ok",
    "{% if yes %}{{ 1 | nosuch }}{% endif %}",
    "{% if no %}{% for x in nums %}{{ 1 | nosuch }}{% endfor %}{% endif %}ok",
    "{{ (1 | nosuch) if no else 2 }}",
    "{{ 1 is nosuch }}",
    "{% if no %}{{ 1 is nosuch }}{% endif %}ok",
    "{% if no and 1 is nosuch %}{% endif %}ok",
    "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}\n{% endfor %}",
    "{%- for m in messages -%}\n  {%- if m['role'] == 'user' %}\n    {{- 'U: ' + m['content'] | trim + '\\n' }}\n  {%- elif m['role'] == 'assistant' %}\n    {{- 'A: ' ~ m['content'] }}\n  {%- endif %}\n{%- endfor %}",
    "{% for m in messages[::-1] %}{{ loop.index0 }}{{ m.role }} {% endfor %}",
    "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ rest | length }}",
    "{% set messages = messages[1:] %}{{ messages | length }}",
    "{% for m in messages %}{% set content = m.content %}{% if content is not string %}{% set content = 'list' %}{% endif %}{{ content }},{% endfor %}{{ content is defined }}",
    "{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'tool' %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}",
    "{% for m in messages if m.role not in ['system', 'tool'] %}{{ loop.index }}{{ m.role }}{{ '' if loop.last else ',' }}{% endfor %}",
    "{% set a = [] %}{% for x in nums %}{% set a = a + [x] %}{% endfor %}{{ a }}",
    "{% set a = [] %}{% for x in nums %}{{ a.append(x) }}{% endfor %}{{ a }}",
    "{% set _ = nums.append(1) %}",
    "{% set d = {} %}{% set _ = d.update({'a': 1}) %}",
    "{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}",
    "{% set j = joiner(', ') %}{% for x in nums %}{{ j() }}{{ x }}{% endfor %}",
    "{% set j = joiner() %}{{ j() }}a{{ j() }}b{{ j.sep }}{{ j.used }}",
    "{{ range(3) | list }}{% for i in range(2, 0, -1) %}{{ i }}{% endfor %}",
    "{% do nums.append(1) %}",
    "{% trans %}x{% endtrans %}",
    "{% debug %}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ super() }}",
    "{% set range = 5 %}{{ range }}",
    "{% macro range() %}mine{% endmacro %}{{ range() }}",
    "{{ dict is mapping }}",
    "{% set x = {'a': 1, **{}} %}",
    "{{ s\n  | upper\n  | lower }}",
    "{{\n[\n1,\n2\n]\n}}",
    "{%\nif yes\n%}\nx\n{%\nendif\n%}\ny",
    "{{ 'multi\nline' }}",
    "{{ \"a\r\nb\" | tojson }}",
    "a{{ '\\n' }}\n{{ '\\n' }}",
    "{{ s }}{{ s }}\n{%- if yes %} x{% endif %}",
    "x{{- ' a ' -}} y",
    "x {{- ' a ' }} y",
    "\n\n{{- 'x' }}\n",
    "{% for x in nums -%}\n  {{ x }}\n{%- if not loop.last %}, {% endif -%}\n{% endfor %}",
    "{% for x in nums %}  \n  {{ x }}  \n{% endfor %}",
    "  {% for x in nums %}  {{ x }}  {% endfor %}  ",
    "a  {%- set x = 1 +%}\nb",
    "{%+ set x = 1 -%}\n\nb",
    "{{ '%' }}%}{{ '{' }}{",
    "{ { x } } {{ '{{' }} }}",
    "#}{{ 1 }}",
    "{{ 1 }}{# a #}{# b #}{{ 2 }}",
    "{#\n  multi\n  line\n#}\n  {# x #}\n  y",
    "{% if yes %}{# c #}\n{% endif %}\nx",
    "{{ {} | length }}{{ {}|d({'a':1},true) }}",
    "{{ '' if none else 'x' }}{{ none if none }}",
    "{% set tool_calls = messages[2]['tool_calls'] %}{% for t in tool_calls %}{{ t.function.name }}{{ t.function.arguments | tojson }}{% endfor %}",
    "{{ messages | map(attribute='content') | map('string') | join('|') }}",
    "{{ (messages | selectattr('role', 'equalto', 'user') | list)[-1].content }}",
    "{{ (messages | selectattr('role', 'equalto', 'user'))[-1] is defined }}",
    "{{ messages | selectattr('role', 'equalto', 'zzz') | first is defined }}",
    "{{ messages | selectattr('content', 'string') | map(attribute='content') | join }}",
    "{% for t, ms in messages | groupby('role') %}{{ t }}:{{ ms | length }} {% endfor %}",
    "{% for g in messages | groupby('role') %}{{ g.grouper }}{{ g.list | length }}{{ g[0] }} {% endfor %}",
    "{% for row in nums | batch(2, 'x') %}{{ row | join(',') }};{% endfor %}",
    "{% for k, v in nest | dictsort %}{{ k }} {% endfor %}",
    "{% set x = 5 %}{% set x = x + 1 %}{{ x }}",
    "{% set a, b = b, 1 %}{{ a is defined }}{{ b }}",
    "{% set s = s ~ '!' %}{{ s }}{% set s = s ~ '!' %}{{ s }}",
    "{% for i in nums %}{% set s = s ~ i %}{{ s }} {% endfor %}{{ s }}",
    "{% for i in [1] %}{% set s = 'a' %}{% for j in [1] %}{{ s }}{% set s = 'b' %}{{ s }}{% endfor %}{{ s }}{% endfor %}{{ s }}",
    "{% for i in [1] %}{% for j in [1] %}{{ s }}{% endfor %}{% set s = 'a' %}{{ s }}{% endfor %}",
    "{% for i in [1] %}{% for j in [1] %}{{ zz }}{% endfor %}{% set zz = 'a' %}{{ zz }}{% endfor %}",
    "{% macro f(x) %}{% for i in [1, 2] %}{{ x }}{% set x = i %}{% endfor %}{{ x }}{% endmacro %}{{ f(0) }}",
    "{% macro f(s) %}{% if s %}{% set s = 'in' %}{% endif %}{{ s }}{% endmacro %}{{ f('p') }}{{ f('') }}{{ s }}",
    "{% macro f() %}{% set s = 'in' %}{% for i in [1] %}{{ s }}{% endfor %}{% endmacro %}{{ f() }}{{ s }}",
    "{% macro f() %}{% for i in [1] %}{{ s }}{% endfor %}{% set s = 'in' %}{% endmacro %}{{ f() }}|{{ s }}",
    "{% set x %}{{ s }}{% endset %}{% set s = 1 %}{{ s }}",
    "{% set x %}{% for i in [1] %}{{ s }}{% endfor %}{% endset %}{{ x }}|{% set s = 1 %}{{ s }}",
    "{% if s %}{% set q = 1 %}{% else %}{% set q = 2 %}{% endif %}{% for i in [1] %}{{ q }}{% endfor %}",
    "{% if no %}{% set nums = [9] %}{% endif %}{% for i in nums %}{{ i }}{% endfor %}",
    "{% for i in nums %}{{ i }}{% endfor %}{% if no %}{% set nums = [9] %}{% endif %}",
    "{% macro f() %}{{ nums }}{% endmacro %}{% if no %}{% set nums = [9] %}{% endif %}{{ f() }}",
    "{% macro f() %}{{ nums }}{% endmacro %}{% if yes %}{% if no %}{% set nums = [9] %}{% endif %}{% endif %}{{ f() }}",
    "{% macro f() %}{{ nums }}{% endmacro %}{% if no %}x{% elif no %}{% set nums = [9] %}{% endif %}{{ f() }}",
    "{{ f() }}{% macro f() %}late{% endmacro %}",
    "{% set x = f %}{% macro f() %}late{% endmacro %}{{ x is defined }}",
    "{% for f in [1] %}{% macro g() %}{{ f }}{% endmacro %}{{ g() }}{% endfor %}",
    "{% with x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{{ f() }}{% endwith %}{{ f is defined }}",
    "{% with s = s ~ 'x' %}{{ s }}{% set s = 'in' %}{{ s }}{% endwith %}{{ s }}",
    "{% set x = namespace(n=none) %}{% for m in messages %}{% if x.n is none and m.role == 'user' %}{% set x.n = loop.index0 %}{% endif %}{% endfor %}{{ x.n }}",
    "{% set ns = namespace(a=namespace(b=1)) %}{{ ns.a.b }}{{ ns }}",
    "{% set ns = namespace(items=[1]) %}{{ ns.items }}",
    "{% set ns = namespace(l=[]) %}{% for x in nums %}{% set ns.l = ns.l + [x * 2] %}{% endfor %}{{ ns.l | tojson }}",
    "{% set l = namespace() %}{{ l == l }}{{ l == namespace() }}{{ l is mapping }}{{ l is iterable }}{{ l is sequence }}",
    "{% for x in namespace() %}{% endfor %}",
    "{{ namespace(a=1) | length }}",
    "{{ nums | map('string') | length }}",
    "{% for x in nums %}{{ x }}{% endfor x %}",
    "{% if yes %}x{% endif yes %}",
    "{% macro f() %}x{% endmacro f %}",
    "{% set x = 1 %}}",
    "{% raw %} a {%- endraw %} b",
    "{%- raw %}\n a {% endraw -%} \n b",
    "x\n    {% raw %}y{% endraw %}\nz",
    "{% set x = '%}' %}{{ x }}",
    "{{ \"{{ x }}\" }}{{ '{# c #}' }}",
    "{% if '{%' %}a{% endif %}",
    "{{ (1, 2) | tojson }}{{ {'a': (1,)} | tojson }}",
    "{{ '\\u00e9' }}{{ '\\xe9' }}{{ '\\351' }}",
    "\u00e9{{ '\u00e9' }}\u4e2d{% set \u00e9t\u00e9 = 1 %}{{ \u00e9t\u00e9 }}",
    "{% set \u00b2 = 1 %}",
    "{{ \u2028 }}",
    "{{ 1\u00a0+\u00a02 }}",
    "{% for x in nums %}{{ loop.length - loop.index }}{% endfor %}",
]

TEMPLATES += [
    "{% for x in nums %}{% for y, l in loop %}{{ y }}{{ l.index }} {% endfor %}{% endfor %}",
    "{% for x in nums %}{{ loop is iterable }}{{ loop is sequence }}{{ loop is callable }}{{ loop is mapping }}{% endfor %}",
    "{% macro f() %}{% set caller = 1 %}{{ caller }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{% for caller in nums %}{{ caller }}{% endfor %}{% endmacro %}{{ f() }}",
    "{% macro f() %}{% if yes %}{{ kwargs }}{% elif varargs %}{% else %}{% endif %}{% endmacro %}{{ f(1, a=2) }}",
    "{% macro f() %}{% for x in varargs if x %}{{ x }}{% else %}{{ kwargs }}{% endfor %}{% endmacro %}{{ f(1, 0, 2) }}{{ f(a=1) }}",
    "{% macro f() %}{% with v = varargs %}{{ v }}{% endwith %}{% endmacro %}{{ f(1) }}",
    "{% macro f() %}{% set v %}{{ varargs | join }}{% endset %}{{ v }}{% filter upper %}{{ kwargs }}{% endfilter %}{% endmacro %}{{ f(1, 2, a='b') }}",
    "{% macro f() %}{% set v | replace('a', varargs[0]) %}banana{% endset %}{{ v }}{% endmacro %}{{ f('o') }}",
    "{% macro f() %}{% macro g(x=varargs) %}{{ x }}{% endmacro %}{{ g() }}{% endmacro %}{{ f(1) }}",
    "{% macro f() %}{% macro g() %}{{ varargs }}{% endmacro %}{{ g(2) }}{{ varargs }}{% endmacro %}{{ f(1) }}",
    "{% macro f() %}{% call(x) g() %}{{ x }}{{ kwargs }}{% endcall %}{% endmacro %}{% macro g() %}{{ caller(7, k=8) }}{% endmacro %}{{ f(a=1) }}",
    "{% macro f() %}{% generation %}{{ varargs }}{% endgeneration %}{% endmacro %}{{ f(1) }}",
    "{% macro f() %}{% set ns.v = varargs %}{% endmacro %}{% set ns = namespace() %}{{ f(1) }}{{ ns.v }}",
    "{% macro f() %}{% set a, varargs = varargs, 1 %}{{ a }}{{ varargs }}{% endmacro %}{{ f(1) }}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{% macro f() %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f() }}{% endfor %}",
    "{% for a, b in [(1, 2)] if a < b %}{% set a = 5 %}{{ a }}{{ b }}{% endfor %}",
    "{% with (a, (b, c)) = (1, (2, 3)) %}{% macro f() %}{{ a }}{{ c }}{% endmacro %}{{ f() }}{% endwith %}",
    "{% set ns = namespace(f=none) %}{% macro g() %}g{{ s }}{% endmacro %}{% set ns.f = g %}{{ ns.f() }}",
    "{% macro f(a, b='x') %}{{ a }}{{ b }}{% endmacro %}{{ f(*[1, 2]) }}{{ f(**{'a': 3}) }}{{ f(*[4], **{'b': 5}) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, **{'a': 2}) }}",
    "{% macro f() %}{{ kwargs.keys() | list }}{{ kwargs | items | list }}{% endmacro %}{{ f(b=1, a=2) }}",
    "{% macro f() %}{% endmacro %}{% call f(caller=1) %}{% endcall %}",
    "{{ cycler(1, 2).pos }}{{ cycler(1, 2)['items'] }}{% set c = cycler(1) %}{{ c.next() }}{{ c.next() }}",
    "{{ joiner(sep='|') is callable }}{{ joiner(1)() }}",
    "{{ cycler(a=1) }}",
    "{% set t = (1, 2) %}{% set a, b = t %}{{ a }}{{ b }}{% set c, d = 'xy' %}{{ c }}{{ d }}{% set e, f = {'k': 1, 'l': 2} %}{{ e }}{{ f }}",
    "{% set a, b = none %}",
    "{% set a, b = undefinedx %}",
    "{% for x in [[1, 2], [3, 4]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}",
    "{% for k, v in nest.a.items() recursive %}{{ k }}{{ loop.depth }}{% endfor %}",
    "{% if s is defined and s is string and s | length > 3 and not s.startswith('x') %}ok{% endif %}",
    "{% set x = s if s is defined else 'd' %}{{ x }}{% set y = zz if zz is defined else 'd' %}{{ y }}",
    "{% set m = messages | selectattr('role', 'equalto', 'user') | list | last %}{{ m.content }}{{ (messages | selectattr('role', 'ne', 'user') | list | first).role }}",
    "{% for m in messages | rejectattr('role', 'equalto', 'system') %}{{ m.role[0] }}{{ loop.nextitem.role if loop.nextitem is defined }}{% endfor %}",
    "{% for m in messages %}{{- '\n' if not loop.first -}}{{ m.role ~ ':' }}{%- if m.tool_calls is defined and m.tool_calls %} {{ m.tool_calls | map(attribute='function') | map(attribute='name') | join(',') }}{%- endif -%}{% endfor %}",
    "{{ messages[2].tool_calls[0].function.arguments.items() | list }}{% for k, v in messages[2].tool_calls[0].function.arguments | items %}{{ k }}={{ v }}{% endfor %}",
    "{{ raise_exception('x') if no else 'fine' }}",
    "{% if messages | length % 2 == 0 %}{{ raise_exception('even') }}{% else %}odd{% endif %}",
    "{% if yes %}{{ raise_exception('no ' ~ messages[0].role) }}{% endif %}",
]


def expressions():
    lines, out = EXPRESSIONS.strip("\n").split("\n"), []
    i = 0
    while i < len(lines):
        line = lines[i]
        while line.endswith("\\") and not line.endswith("\\\\"):
            i += 1
            line += "\n" + lines[i]
        out.append(line)
        i += 1
    return out


# The parts of a line that fail or not by themselves are cases of their own: a comma in no bracket or quotes parts them.
def parts(line):
    out, depth, quote, now, i = [], 0, "", "", 0
    while i < len(line):
        c = line[i]
        now += c
        if quote:
            if c == "\\":
                i += 1
                now += line[i]
            elif c == quote:
                quote = ""
        elif c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth == 0:
            out.append(now[:-1].strip())
            now = ""
        i += 1
    out.append(now.strip())
    return out if all(out) and not quote and depth == 0 and "\n" not in line else [line]


CASES = list(dict.fromkeys(["{{ " + p + " }}" for line in expressions() for p in parts(line)] + TEMPLATES))
